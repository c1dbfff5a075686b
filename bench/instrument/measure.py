"""One measurement: a fresh proxy, load from wrk, and what it cost.

In scope: the window inside wrk's run, CPU and requests in it, wrk's own figures. Out of scope: which measurements are
made (bench/run) and how they are told (report).

The requests of the window are counted by the origin, so that connecting 10,000 clients, and the last requests that wrk
gives up, are in nobody's figure.
"""

import http.client
import re
import subprocess
import time
from dataclasses import dataclass

from . import quiet
from .processes import Process, wait_until
from .proxies import ORIGIN_PORT

PROXY_CORE, LOAD_CORE = 0, 1
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass
class Scenario:
    """What is asked of every proxy."""

    name: str
    connections: int
    path: str
    warm_s: float
    window_s: float


@dataclass
class Sample:
    """One measurement's figures; None where the proxy has no such figure."""

    scenario: str
    proxy: str
    round: int
    requests_per_s: float
    cpu_us: float
    worker_cpu_us: float | None
    busy: float
    p50_ms: float
    p99_ms: float
    errors: int
    peak_rss_mib: float
    descriptors: int
    foreign_cores: float

    def told(self):
        """The figures in one line."""
        return (f"{self.cpu_us:6.2f} µs  {self.requests_per_s:8,.0f}/s  busy {self.busy:4.0%}  "
                f"p99 {self.p99_ms:8.2f} ms  errors {self.errors}")


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
    except OSError:
        return False


@dataclass
class Reading:
    """Counters at one instant."""

    time_s: float
    requests: int
    cpu_s: float
    worker_cpu_s: float
    foreign_cpu_s: float


def read_counters(process, own, origin_port=ORIGIN_PORT):
    """All counters. The origin's takes a moment under load, so the others are read before and after it.

    `own` are the processes whose time is not foreign: proxy, origin and wrk.
    """
    def local():
        foreign = quiet.busy_s() - time.process_time() - sum(one.cpu_s() for one in own)
        return time.monotonic(), process.cpu_s(), process.threads_cpu_s("gk-worker"), foreign

    before = local()
    requests = int(fetch(origin_port, "/count")[1])
    middle = [(first + second) / 2 for first, second in zip(before, local())]
    return Reading(middle[0], requests, *middle[1:])


def measure(proxy, scenario, round_number, scratch, origin):
    """Runs one measurement; raises RuntimeError when the proxy does not serve."""
    log = f"{scratch}/{proxy.name}.log"
    with Process(proxy.name, proxy.start_command(scratch), PROXY_CORE, log) as process:
        try:
            return observe(proxy, scenario, round_number, process, origin)
        except (RuntimeError, OSError) as fault:
            raise RuntimeError(f"{fault} ({process.last_words()})") from fault


def observe(proxy, scenario, round_number, process, origin):
    """Loads a started proxy and reads what it cost."""
    wait_until(lambda: process.popen.poll() is not None or serves(proxy.port, scenario.path), 10,
               f"{proxy.name} serves")
    if fetch(proxy.port, scenario.path)[1] != fetch(ORIGIN_PORT, scenario.path)[1]:
        raise RuntimeError(f"{proxy.name} changes the body")
    with load(proxy.port, scenario) as wrk:
        own = [process, origin, wrk]
        time.sleep(scenario.warm_s)
        first = read_counters(process, own)
        time.sleep(scenario.window_s)
        last = read_counters(process, own)
        descriptors = process.descriptors()
        output, complaint = wrk.popen.communicate(timeout=60)
    if process.popen.poll() is not None:
        raise RuntimeError(f"{proxy.name} ended during the measurement")
    if last.requests <= first.requests:
        raise RuntimeError("the origin saw no requests, or another program listens on its port")
    if wrk.popen.returncode != 0 or "Latency Distribution" not in output:
        raise RuntimeError(f"wrk: {complaint.strip()} {output}")
    figures = percentile_ms(output, "50%"), percentile_ms(output, "99%"), errors(output)
    return sample(proxy, scenario, round_number, first, last, figures, process, descriptors)


def load(port, scenario):
    """wrk, for a little longer than the window."""
    seconds = round(scenario.warm_s + scenario.window_s + 1)
    return Process("wrk", ["wrk", "--latency", "--timeout", "10s", "-t", "1", "-c", str(scenario.connections), "-d",
                           f"{seconds}s", f"http://127.0.0.1:{port}{scenario.path}"], LOAD_CORE)


def sample(proxy, scenario, round_number, first, last, figures, process, descriptors):
    """One measurement; `figures` are the load's own: two latencies and the number of errors."""
    requests = last.requests - first.requests
    seconds, cpu_s = last.time_s - first.time_s, last.cpu_s - first.cpu_s
    worker_cpu_s = last.worker_cpu_s - first.worker_cpu_s
    return Sample(
        scenario=scenario.name, proxy=proxy.name, round=round_number,
        requests_per_s=requests / seconds,
        cpu_us=cpu_s / requests * 1e6,
        worker_cpu_us=worker_cpu_s / requests * 1e6 if worker_cpu_s else None,
        busy=cpu_s / seconds,
        p50_ms=figures[0], p99_ms=figures[1], errors=figures[2], peak_rss_mib=process.peak_rss_kib() / 1024, descriptors=descriptors,
        foreign_cores=max(last.foreign_cpu_s - first.foreign_cpu_s, 0.0) / seconds)


def percentile_ms(output, name):
    """A line of wrk's latency distribution."""
    found = re.search(rf"^\s*{name}\s+([\d.]+)(us|ms|s|m)\s*$", output, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk tells no latency: {output}")
    return float(found[1]) * UNITS_MS[found[2]]


def errors(output):
    """Answers that were not 2xx or 3xx, and connections that failed."""
    total = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", output))
    for line in re.findall(r"Socket errors: (.*)", output):
        total += sum(int(number) for number in re.findall(r"\d+", line))
    return total
