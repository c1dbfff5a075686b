"""Starting, watching and ending processes.

In scope: one class whose processes are pinned, end with this program and are read through /proc.
Out of scope: which programs there are (proxies), what is measured (measure).
"""

import ctypes
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

CLOCK_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Process:
    """A program on some cores, in a session of its own so that it and its children can be ended together."""

    def __init__(self, name, command, cores, log=None, first=False):
        """Starts `command` on `cores`, one or a set; what it says goes to the file `log`, or to pipes when there is none.
        `first` lets it run whenever it wants to, before others on its cores."""
        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            os.sched_setaffinity(0, {cores} if isinstance(cores, int) else cores)
            if first:
                os.setpriority(os.PRIO_PROCESS, 0, -20)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        self.name = name
        self.log = log
        output = open(log, "w", encoding="utf-8") if log else subprocess.PIPE
        self.popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            preexec_fn=prepare, text=True)
        if log:
            output.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the process and everything it started: asks, waits, insists."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        for pipe in (self.popen.stdout, self.popen.stderr):
            if pipe:
                pipe.close()

    def last_words(self):
        """The end of what it said, for an error message."""
        return " ".join(Path(self.log).read_text(encoding="utf-8", errors="replace").splitlines()[-2:])

    def pids(self):
        """The process and its children, such as nginx's worker."""
        found, queue = [], [self.popen.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in tasks(pid):
                queue += [int(child) for child in read(f"/proc/{pid}/task/{task}/children").split()]
        return found

    def cpu_s(self):
        """User and system seconds of all threads of all its processes, living or gone."""
        return sum(stat_cpu_s(read(f"/proc/{pid}/stat")) for pid in self.pids())

    def threads_cpu_s(self, prefix):
        """The same of only the living threads whose name begins with `prefix`."""
        total = 0.0
        for pid in self.pids():
            for task in tasks(pid):
                if read(f"/proc/{pid}/task/{task}/comm").startswith(prefix):
                    total += stat_cpu_s(read(f"/proc/{pid}/task/{task}/stat"))
        return total

    def keep_others_off(self, prefix, cores):
        """Moves all threads but those whose name begins with `prefix` to `cores`, where they only take what is left."""
        for pid in self.pids():
            for task in tasks(pid):
                if not read(f"/proc/{pid}/task/{task}/comm").startswith(prefix):
                    os.sched_setaffinity(int(task), cores)
                    os.sched_setscheduler(int(task), os.SCHED_IDLE, os.sched_param(0))

    def rss_kib(self):
        """The sum of the resident sizes."""
        return self.status_kib("VmRSS:")

    def peak_rss_kib(self):
        """The sum of the largest resident sizes so far."""
        return self.status_kib("VmHWM:")

    def status_kib(self, key):
        """The sum of a line of /proc/PID/status."""
        total = 0
        for pid in self.pids():
            for line in read(f"/proc/{pid}/status").splitlines():
                if line.startswith(key):
                    total += int(line.split()[1])
        return total

    def descriptors(self):
        """Open descriptors."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())


def read(path):
    """The text of a file in /proc, empty when its process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tasks(pid):
    """The thread numbers of a process, none when it is gone."""
    try:
        return os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []


def stat_cpu_s(stat):
    """utime + stime of a line of /proc/PID/stat (proc(5)), whose second field may hold spaces."""
    if not stat:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * CLOCK_TICK_S


def wait_until(condition, seconds, what):
    """Polls `condition` until it holds; raises RuntimeError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
