"""The gateway under soak: its files, its process, what it holds.

In scope: writing configurations, reloading, reading /proc and the log. Out of scope: what goes through it.
"""

import asyncio
import collections
import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PR_SET_CHILD_SUBREAPER = 36
LAST_WORDS = re.compile(r"worker (\d+) has ended: .*?(\d+) panics.*; left: (\d+) sessions, (\d+) tunnels, "
                        r"(\d+) buffers, (\d+) deadlines, (\d+) upstream connections")


class Gateway:
    """One process at a time serves, in a folder of its own; after an upgrade another, while the one before drains."""

    def __init__(self, folder, cores, driver):
        self.folder, self.cores, self.driver, self.first = Path(folder), cores, driver, None
        # The exit code of each process that has ended.
        self.codes = {}

    @property
    def pid(self):
        """The process that serves, 0 before the first does."""
        file = self.folder / "pid"
        return int((file.read_text(encoding="utf-8") if file.exists() else "") or (self.first.pid if self.first else 0))

    def write(self, base, modules):
        """Replaces the files, each in one step."""
        for name, text in (("base.toml", base), ("module.toml", modules)):
            fresh = self.folder / f"{name}.fresh"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.folder / name)

    async def start(self):
        """Starts it and returns when it serves."""
        # Processes of upgrades are the gateway's children; whose parent has ended becomes ours.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        command = [str(ROOT / "target" / "release" / "gatekeeper"), "--cores", str(self.cores)]
        command += ["--driver", self.driver] if self.driver else []
        command += ["--pid-file", str(self.folder / "pid"), str(self.folder / "module.toml")]
        with open(self.folder / "stderr", "ab") as log, open(self.folder / "stdout", "ab") as out:
            self.first = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                          preexec_fn=raise_descriptor_limit)
        for _ in range(600):
            if "gatekeeper ready" in (self.folder / "stdout").read_text(encoding="utf-8"):
                return
            if not self.is_running():
                break
            await asyncio.sleep(0.05)
        sys.exit(f"the gateway does not start:\n{self.log()[-3000:]}")

    def reload(self):
        """Has it read its files."""
        os.kill(self.pid, signal.SIGHUP)

    async def upgrade(self):
        """Puts a new process in the place of the one that serves; whether that took place."""
        old = self.pid
        os.kill(old, signal.SIGUSR2)
        for _ in range(300):
            await asyncio.sleep(0.1)
            if self.pid != old or not self.is_running():
                break
        return self.pid != old

    def is_running(self):
        """It has not ended."""
        self.reap()
        return self.pid not in self.codes and os.path.exists(f"/proc/{self.pid}")

    def reap(self):
        """Learns how processes have ended; whether any is left."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self.codes[ended[0]] = os.waitstatus_to_exitcode(ended[1])
            return True
        except ChildProcessError:
            return False

    def kill(self):
        """Ends it at once."""
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)

    def log(self):
        """All it has logged."""
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")

    def descriptors(self):
        """How many there are of each kind."""
        kinds = collections.Counter()
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                kinds[os.readlink(f"/proc/{self.pid}/fd/{name}").split(":")[0]] += 1
            except FileNotFoundError:
                continue
        return kinds

    def sockets(self):
        """Its sockets, for the eyes."""
        told = subprocess.run(["ss", "-apnH"], capture_output=True, text=True, check=False).stdout.splitlines()
        return "\n".join(line for line in told if f"pid={self.pid}," in line)

    def resident_mib(self):
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024

    async def stop(self):
        """Stops it; gives every process's exit code and what each worker says is left."""
        os.kill(self.pid, signal.SIGTERM)
        for _ in range(900):
            if not self.reap():
                break
            await asyncio.sleep(0.1)
        else:
            self.kill()
        return self.codes, [tuple(map(int, found)) for found in LAST_WORDS.findall(self.log())]


def raise_descriptor_limit():
    """As many as the system lets a process have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
