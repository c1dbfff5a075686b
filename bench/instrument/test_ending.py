"""Nothing is left behind. Run by `make bench-test`."""

import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from .processes import Process

BENCH = Path(__file__).resolve().parent.parent
# Starts what has a child of its own and ignores being asked, says who they are, and waits.
PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
from instrument.processes import Process
with Process("a", ["sh", "-c", "trap '' TERM; sleep 600 & echo $$ $!; wait; wait"], 0) as process:
    print(process.popen.stdout.readline(), flush=True)
    {then}
"""


def is_running(pid):
    """There is such a process, and it is no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


class Ending(unittest.TestCase):
    def start(self, then):
        command = [sys.executable, "-c", PROGRAM.format(then=then), BENCH]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.kill)
        return program, [int(word) for word in program.stdout.readline().split()]

    def assert_ends(self, pids, seconds=10):
        deadline = time.monotonic() + seconds
        while any(is_running(pid) for pid in pids):
            self.assertLess(time.monotonic(), deadline, f"{pids} are left")
            time.sleep(0.05)

    def test_children_end_with_their_process_when_the_block_is_left(self):
        program, pids = self.start("pass")
        self.assertEqual(len(pids), 2)
        program.wait(timeout=20)
        self.assert_ends(pids, 1)

    def test_an_exception_leaves_nothing(self):
        program, pids = self.start("raise RuntimeError('broken')")
        program.wait(timeout=20)
        self.assert_ends(pids, 1)

    def test_a_process_ends_with_the_program_that_started_it_even_if_that_is_killed(self):
        program = subprocess.Popen([sys.executable, "-c", PROGRAM.replace("trap '' TERM; sleep 600 & echo $$ $!; wait; wait",
                                   "echo $$; exec sleep 600").format(then="time.sleep(600)"), BENCH],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.stdout.close)
        pids = [int(program.stdout.readline())]
        program.send_signal(signal.SIGKILL)
        program.wait()
        self.assert_ends(pids)

    def test_it_runs_where_it_is_put(self):
        with Process("a", ["sleep", "600"], 0) as process:
            self.assertEqual(os.sched_getaffinity(process.popen.pid), {0})


class Run(unittest.TestCase):
    def test_a_plan_measures_nothing(self):
        if not (BENCH.parent / "target" / "release" / "bench-origin").exists():
            self.skipTest("the origin is not built")
        said = subprocess.run([BENCH / "run", "--plan", "--scenarios", "small, 64"], capture_output=True, text=True, timeout=10, check=True)
        self.assertIn("| small, 64 connections | ", said.stdout)
        self.assertNotIn("µs", said.stdout)

    def test_a_stopped_run_leaves_no_process_and_says_so_by_its_code(self):
        if not (BENCH.parent / "target" / "release" / "bench-origin").exists():
            self.skipTest("the origin is not built")
        for number in (signal.SIGINT, signal.SIGTERM):
            command = [BENCH / "run", "--only", "floor", "--scenarios", "small, 64", "--patience", "0", "--window", "30"]
            program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.addCleanup(program.stdout.close)
            deadline = time.monotonic() + 20
            while len(children(program.pid)) < 5 and program.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            if program.poll() is not None:
                self.skipTest(program.stdout.read())
            pids = children(program.pid)
            self.assertEqual(len(pids), 5, "three origins, the floor and wrk")
            program.send_signal(number)
            self.assertEqual(program.wait(timeout=20), 128 + number)
            self.assertFalse([pid for pid in pids if is_running(pid)])


def children(pid):
    """The processes that a process started, whose ends it has not seen yet."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]


if __name__ == "__main__":
    unittest.main()
