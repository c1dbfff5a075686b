"""One measurement: a fresh proxy, a load, and what it cost.

In scope: the window inside the load's run, CPU and requests in it, the load's own figures. Out of scope: which
measurements are made (scenarios), the loads (loads), and how samples are told (report).

The requests of the window are counted by the origin, so that connecting 10,000 clients, and the last requests that the
load gives up, are in nobody's figure.
"""

import contextlib
import time
from dataclasses import dataclass

from . import quiet
from .beside import beside
from .loads import fetch
from .processes import Process, wait_until
from .sample import Sample
from .settings import forget_logs

PROXY_CORE, LOAD_CORE = 0, 1
WORKER = "gk-worker"


@dataclass
class Reading:
    """Counters at one instant."""

    time_s: float
    requests: int
    cpu_s: float
    worker_cpu_s: float
    foreign_cpu_s: float


def read_counters(process, own, origin_port):
    """All counters. The origin's takes a moment under load, so the others are read before and after it.

    `own` are the processes whose time is not foreign: proxy, origins and loads.
    """
    def local():
        foreign = quiet.busy_s() - time.process_time() - sum(one.cpu_s() for one in own)
        return time.monotonic(), process.cpu_s(), process.threads_cpu_s(WORKER), foreign

    before = local()
    requests = int(fetch(origin_port, "/count")[1])
    middle = [(first + second) / 2 for first, second in zip(before, local())]
    return Reading(middle[0], requests, *middle[1:])


@contextlib.contextmanager
def started(proxy, scenario, scratch):
    """The proxy, serving what the scenario's load asks for, on its core. Where the scenario wants control off the data
    core, all but the workers are on the load's."""
    core = {PROXY_CORE, LOAD_CORE} if scenario.control_apart else PROXY_CORE
    port = proxy.ports[scenario.load.door]
    with Process(proxy.name, proxy.command(scenario.setting, scratch), core, f"{scratch}/{proxy.name}.log") as process:
        try:
            wait_until(lambda: process.popen.poll() is not None or scenario.load.is_ready(port), 20, f"{proxy.name} serves")
            if process.popen.poll() is not None:
                raise RuntimeError(f"{proxy.name} ended")
            if scenario.control_apart:
                process.keep_others_off(WORKER, {LOAD_CORE})
            yield process
        except (RuntimeError, OSError) as fault:
            raise RuntimeError(f"{fault} ({process.last_words()})") from fault
    forget_logs(scratch)


def measure(proxy, scenario, round_number, bench):
    """Runs one measurement; raises RuntimeError when the proxy does not serve."""
    with started(proxy, scenario, bench.scratch) as process:
        return observe(proxy, scenario, round_number, process, bench)


def observe(proxy, scenario, round_number, process, bench):
    """Loads a started proxy and reads what it cost."""
    load, port = scenario.load, proxy.ports[scenario.load.door]
    if not load.changes_nothing(port):
        raise RuntimeError(f"{proxy.name} changes the body")
    rate = bench.rate(proxy, load)
    asked = {} if rate is None else {"rate": rate}
    with beside(scenario, proxy, process, bench) as others, \
            Process("load", load.command(port, scenario.warm_s + bench.window_s + 1, **asked), LOAD_CORE,
                    first=load.goes_first) as running:
        own = [process, running, *bench.origins, *others.processes]
        time.sleep(scenario.warm_s)
        first, done_before = read_counters(process, own, load.origin_port), others.done
        time.sleep(bench.window_s)
        last, done = read_counters(process, own, load.origin_port), others.done - done_before
        descriptors = process.descriptors()
        output, complaint = running.popen.communicate(timeout=60)
    if process.popen.poll() is not None:
        raise RuntimeError(f"{proxy.name} ended during the measurement")
    if last.requests <= first.requests:
        raise RuntimeError("the origin saw no requests, or another program listens on its port")
    figures = load.figures(output)
    if running.popen.returncode != 0 or figures is None:
        raise RuntimeError(f"the load says: {complaint.strip()} {output.strip()}")
    sample = cost(proxy, scenario, round_number, first, last)
    sample.p50_ms, sample.p99_ms, sample.p999_ms, sample.errors = figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.errors
    sample.peak_rss_mib, sample.descriptors = process.peak_rss_kib() / 1024, descriptors
    sample.rate_per_s = rate
    sample.beside = done if others.counts else None
    return sample


def cost(proxy, scenario, round_number, first, last):
    """What happened between two readings."""
    requests, seconds = last.requests - first.requests, last.time_s - first.time_s
    cpu_s, worker_cpu_s = last.cpu_s - first.cpu_s, last.worker_cpu_s - first.worker_cpu_s
    return Sample(
        scenario.name, proxy.name, round_number,
        requests_per_s=requests / seconds, cpu_us=cpu_s / requests * 1e6,
        worker_cpu_us=worker_cpu_s / requests * 1e6 if worker_cpu_s else None, busy=cpu_s / seconds,
        foreign_cores=max(last.foreign_cpu_s - first.foreign_cpu_s, 0.0) / seconds)
