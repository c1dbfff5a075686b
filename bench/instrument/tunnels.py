"""Measurements of opaque bytes: exchanges of messages over TCP and WebSocket, and what an idle tunnel keeps.

In scope: bench-messages as load, its figures, resident memory. Out of scope: the counters (measure), the order (rounds).
"""

import re
import subprocess
import time
from dataclasses import dataclass

from .measure import LOAD_CORE, PROXY_CORE, read_counters, sample
from .processes import Process, wait_until
from .proxies import MESSAGE_ORIGIN_PORT, MESSAGES

MIB = 1024 * 1024
IDLE_S = 10
FIGURES = re.compile(r"exchanges (\d+) errors (\d+) p50_ms ([\d.]+) p99_ms ([\d.]+)")


@dataclass
class Exchanges:
    """What is asked of every proxy."""

    name: str
    websocket: bool
    connections: int
    ask_bytes: int
    answer_bytes: int
    warm_s: float
    window_s: float

    def is_bulk(self):
        """It is about bytes rather than messages."""
        return max(self.ask_bytes, self.answer_bytes) >= MIB

    def load_command(self, port, seconds, connections=None):
        """bench-messages at a proxy."""
        return [MESSAGES, "load", "--connect", f"127.0.0.1:{port}", "--connections", str(connections or self.connections),
                "--ask-bytes", str(self.ask_bytes), "--answer-bytes", str(self.answer_bytes), "--warm", str(self.warm_s),
                "--seconds", str(seconds), *(["--websocket"] if self.websocket else [])]


@dataclass
class IdleSample:
    """What idle tunnels keep of a proxy's memory."""

    scenario: str
    proxy: str
    round: int
    tunnels: int
    bytes_per_tunnel: float
    before_mib: float
    idle_mib: float
    foreign_cores: float = 0.0

    def told(self):
        """The figures in one line."""
        return f"{self.bytes_per_tunnel:8,.0f} bytes/tunnel, {self.tunnels:,} of them"


def carries(scenario, port):
    """One exchange goes through, every byte right."""
    run = subprocess.run([*scenario.load_command(port, 5, connections=1), "--exchanges", "1"], capture_output=True, text=True, check=False)
    figures = FIGURES.search(run.stdout)
    return figures is not None and int(figures[1]) > 0 and int(figures[2]) == 0


def started(proxy, scenario, scratch):
    """The proxy's process."""
    return Process(proxy.name, proxy.start_command(scratch), PROXY_CORE, f"{scratch}/{proxy.name}.log")


def wait_until_carries(proxy, scenario, process):
    """Returns when exchanges go through the proxy."""
    port = proxy.port_for(scenario)
    wait_until(lambda: process.popen.poll() is not None or carries(scenario, port), 10, f"{proxy.name} serves")
    if process.popen.poll() is not None:
        raise RuntimeError(f"{proxy.name} ended: {process.last_words()}")


def measure_exchanges(proxy, scenario, round_number, scratch, origin):
    """CPU per exchange; raises RuntimeError when the proxy does not serve."""
    with started(proxy, scenario, scratch) as process:
        wait_until_carries(proxy, scenario, process)
        seconds = scenario.warm_s + scenario.window_s + 1
        with Process("load", scenario.load_command(proxy.port_for(scenario), seconds), LOAD_CORE) as load:
            own = [process, origin, load]
            time.sleep(scenario.warm_s)
            first = read_counters(process, own, MESSAGE_ORIGIN_PORT)
            time.sleep(scenario.window_s)
            last = read_counters(process, own, MESSAGE_ORIGIN_PORT)
            descriptors = process.descriptors()
            output, complaint = load.popen.communicate(timeout=60)
        figures = FIGURES.search(output)
        if figures is None or last.requests <= first.requests:
            raise RuntimeError(f"the load says: {output.strip()} {complaint.strip()}")
        own_figures = float(figures[3]), float(figures[4]), int(figures[2])
        return sample(proxy, scenario, round_number, first, last, own_figures, process, descriptors)


def measure_idle(proxy, scenario, round_number, scratch):
    """Memory per tunnel that carried one exchange and is idle since."""
    with started(proxy, scenario, scratch) as process:
        wait_until_carries(proxy, scenario, process)
        before_kib = process.rss_kib()
        with Process("load", [*scenario.load_command(proxy.port_for(scenario), 0), "--hold"], LOAD_CORE) as load:
            told = load.popen.stdout.readline()
            if told.strip() != f"held {scenario.connections}":
                raise RuntimeError(f"the load says: {told} {load.popen.stderr.read()}")
            time.sleep(IDLE_S)
            idle_kib = process.rss_kib()
            if load.popen.poll() is not None:
                raise RuntimeError(f"an idle tunnel was closed: {load.popen.stderr.read()}")
        return IdleSample(scenario.name, proxy.name, round_number, scenario.connections,
                          (idle_kib - before_kib) * 1024 / scenario.connections, before_kib / 1024, idle_kib / 1024)
