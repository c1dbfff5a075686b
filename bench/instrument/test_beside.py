"""What happens beside a load. Run by `make bench-test`."""

import signal
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

from .beside import again_and_again, reloads
from .settings import services


class Reloads(unittest.TestCase):
    def test_the_file_changes_each_time_and_is_what_it_was_afterwards_however_often_it_is_done(self):
        with tempfile.TemporaryDirectory() as folder:
            file, log = Path(folder, "module.toml"), Path(folder, "log")
            file.write_text(services(5000), encoding="utf-8")
            log.write_text("config loaded\n" * 3, encoding="utf-8")
            for _ in range(2):
                seen, signals = [], []

                def hear(number):
                    signals.append(number)
                    seen.append(file.read_text(encoding="utf-8").count('weight_list = "50"'))

                process = SimpleNamespace(popen=SimpleNamespace(send_signal=hear))
                with reloads(process, file, log) as done_in:
                    deadline = time.monotonic() + 10
                    while len(seen) < 4 and time.monotonic() < deadline:
                        time.sleep(0.05)
                    self.assertEqual(done_in(), 3)
                self.assertEqual(seen[:4], [1, 0, 1, 0])
                self.assertEqual(set(signals), {signal.SIGHUP})
                self.assertEqual(file.read_text(encoding="utf-8"), services(5000))

    def test_what_goes_wrong_is_told(self):
        def fail(_number):
            raise OSError("no such thing")

        with self.assertRaisesRegex(RuntimeError, "no such thing"):
            with again_and_again(fail, 0.01):
                time.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
