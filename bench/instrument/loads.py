"""The loads: what is sent to a proxy, by which program, and what that program says about it.

In scope: command lines, the figures in their output. Out of scope: when a load runs and what it costs (measure), which
loads there are (scenarios).
"""

import http.client
import json
import re
import subprocess
from dataclasses import dataclass

from .proxies import BENCH, MESSAGE_ORIGIN_PORT, MESSAGES, ORIGIN_PORT, STEADY

MIB = 1024 * 1024
WRK_SCRIPT = BENCH / "load" / "wrk.lua"
WRK_FIGURES = re.compile(r"figures p50_us (\d+) p99_us (\d+) p999_us (\d+) errors (\d+)")
MESSAGE_FIGURES = re.compile(r"exchanges (\d+) errors (\d+) p50_ms ([\d.]+) p99_ms ([\d.]+)")


@dataclass(frozen=True)
class Figures:
    """What a load saw: latencies, None where it cannot tell, and errors."""

    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    errors: int
    requests: int | None = None


def fetch(port, path):
    """The status and body of one GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def serves(port, path):
    """It answers a GET with 200."""
    try:
        return fetch(port, path)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@dataclass(frozen=True)
class Wrk:
    """Requests by wrk, on each connection the next when the one before is answered. `script` is for load/wrk.lua."""

    connections: int
    path: str = "/bench"
    threads: int = 1
    script: tuple = ()
    door = "http"
    origin_port = ORIGIN_PORT
    goes_first = False

    def command(self, port, seconds):
        """wrk at a proxy."""
        options = ["--timeout", "10s", "-t", str(self.threads), "-c", str(self.connections), "-d", f"{round(seconds)}s"]
        return ["wrk", *options, "-s", WRK_SCRIPT, f"http://127.0.0.1:{port}{self.path}", "--", *self.script]

    def is_ready(self, port):
        """One request goes through."""
        return serves(port, self.path)

    def changes_nothing(self, port):
        """The proxy hands on what the origin says."""
        return fetch(port, self.path)[1] == fetch(self.origin_port, self.path)[1]

    def figures(self, output):
        """The line that load/wrk.lua wrote; None when there is none."""
        found = WRK_FIGURES.search(output)
        if found is None:
            return None
        # wrk's percentiles are 0 where it counts several answers as one, as with pipelining.
        p50, p99, p999 = (int(found[place]) / 1000 or None for place in (1, 2, 3))
        return Figures(p50, p99 or None, p999 or None, int(found[4]))


@dataclass(frozen=True)
class Messages:
    """Exchanges of a message up and its answer down, by bench-messages: plain TCP or WebSocket frames."""

    connections: int
    ask_bytes: int = 64
    answer_bytes: int = 64
    websocket: bool = False
    warm_s: float = 0.0
    origin_port = MESSAGE_ORIGIN_PORT
    goes_first = False

    @property
    def door(self):
        """Which of a proxy's ports it uses."""
        return "websocket" if self.websocket else "tcp"

    def command(self, port, seconds, connections=None):
        """bench-messages at a proxy."""
        return [MESSAGES, "load", "--connect", f"127.0.0.1:{port}", "--connections", str(connections or self.connections),
                "--ask-bytes", str(self.ask_bytes), "--answer-bytes", str(self.answer_bytes), "--warm", str(self.warm_s),
                "--seconds", str(seconds), *(["--websocket"] if self.websocket else [])]

    def is_ready(self, port):
        """One exchange goes through, every byte right."""
        run = subprocess.run([*self.command(port, 5, connections=1), "--exchanges", "1"], capture_output=True, text=True,
                             check=False)
        figures = self.figures(run.stdout)
        return figures is not None and figures.requests > 0 and figures.errors == 0

    def changes_nothing(self, port):
        """Both ends check every byte."""
        return True

    def figures(self, output):
        """The line it ends with; None when there is none."""
        found = MESSAGE_FIGURES.search(output)
        return found and Figures(float(found[3]), float(found[4]), None, int(found[2]), int(found[1]))


@dataclass(frozen=True)
class Steady:
    """Requests at a fixed rate by bench-steady, each timed from when it was due (an open loop).

    The rate is a share of the peak that the scenario `of` measured: each proxy's own, or the least of all.
    """

    share: float
    of: str
    least: bool = False
    connections: int = 128
    path: str = "/bench"
    services: int = 0
    warm_s: float = 1.0
    door = "http"
    origin_port = ORIGIN_PORT
    # It works for a moment and sleeps; what is due must not wait for the origin, which is on the same core.
    goes_first = True

    def command(self, port, seconds, rate=1000):
        """bench-steady at a proxy."""
        return [STEADY, "--connect", f"127.0.0.1:{port}", "--path", self.path, "--connections", str(self.connections),
                "--rate", str(round(rate)), "--warm", str(self.warm_s), "--seconds", str(seconds),
                "--services", str(self.services)]

    def is_ready(self, port):
        """One request goes through."""
        return serves(port, f"/s0{self.path}" if self.services else self.path)

    def changes_nothing(self, port):
        """Small replies are compared in the closed loop."""
        return True

    def figures(self, output):
        """Its JSON; None when there is none."""
        try:
            told = json.loads(output)
        except ValueError:
            return None
        return Figures(told["p50_us"] / 1000, told["p99_us"] / 1000, told["p999_us"] / 1000, told["errors"],
                       told["requests"])


@dataclass(frozen=True)
class OneByOne:
    """Requests one at a time, an exact number of them, over connections taken in turn; they reach every worker."""

    workers: int
    connections: int = 96
    door = "http"
    origin_port = ORIGIN_PORT
