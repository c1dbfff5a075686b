"""The gateway under soak: its files, its process, what it holds.

In scope: writing configurations, reloading, reading /proc and the log. Out of scope: what goes through it.
"""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LAST_WORDS = re.compile(r"worker (\d+) has ended: .*?(\d+) panics.*; left: (\d+) sessions, (\d+) tunnels, "
                        r"(\d+) buffers, (\d+) deadlines, (\d+) upstream connections")


class Gateway:
    """One process, in a folder of its own."""

    def __init__(self, folder, cores, driver):
        self.folder, self.cores, self.driver, self.process = Path(folder), cores, driver, None

    def write(self, base, modules):
        """Replaces the files, each in one step."""
        for name, text in (("base.toml", base), ("module.toml", modules)):
            fresh = self.folder / f"{name}.fresh"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.folder / name)

    async def start(self):
        """Starts it and returns when it serves."""
        command = [str(ROOT / "target" / "release" / "gatekeeper"), "--cores", str(self.cores)]
        command += ["--driver", self.driver] if self.driver else []
        with open(self.folder / "stderr", "ab") as log, open(self.folder / "stdout", "ab") as out:
            self.process = subprocess.Popen([*command, str(self.folder / "module.toml")], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=log, preexec_fn=raise_descriptor_limit)
        for _ in range(600):
            if "gatekeeper ready" in (self.folder / "stdout").read_text(encoding="utf-8"):
                return
            if self.process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        sys.exit(f"the gateway does not start:\n{self.log()[-3000:]}")

    def reload(self):
        """Has it read its files."""
        self.process.send_signal(signal.SIGHUP)

    def is_running(self):
        """It has not ended."""
        return self.process.poll() is None

    def log(self):
        """All it has logged."""
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")

    def descriptors(self):
        """How many are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def sockets(self):
        """What its descriptors are, for the eyes."""
        kinds = {}
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                kind = os.readlink(f"/proc/{self.process.pid}/fd/{name}").split(":")[0]
            except FileNotFoundError:
                continue
            kinds[kind] = kinds.get(kind, 0) + 1
        return kinds

    def resident_mib(self):
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024

    async def stop(self):
        """Stops it; gives the exit code and what each worker says is left."""
        self.process.terminate()
        for _ in range(600):
            if not self.is_running():
                break
            await asyncio.sleep(0.1)
        else:
            self.process.kill()
        code = self.process.wait()
        return code, [tuple(map(int, found)) for found in LAST_WORDS.findall(self.log())]


def raise_descriptor_limit():
    """As many as the system lets a process have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
