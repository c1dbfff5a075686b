"""System calls per request, counted by `perf trace -s`.

In scope: a short run of its own, because counting disturbs what it counts. perf is there before the first request and
after the last, so that its own beginning and end make no difference. Out of scope: what the calls cost.
"""

import re
import signal
import time

from .loads import fetch
from .measure import LOAD_CORE, started
from .processes import Process
from .sample import Sample

COUNT_S = 2
# Bytes for events that perf has not read yet; with less, some are lost.
BUFFER = "64M"
CALL = re.compile(r"^\s+(\w+)\s+(\d+)\s+\d+\s+\d+\.\d+\s", re.MULTILINE)


def measure_counts(proxy, scenario, round_number, bench):
    """Calls of all threads of the proxy, over the requests that the origin saw."""
    load, port = scenario.load, proxy.ports[scenario.load.door]
    summary, log = bench.scratch / "calls", bench.scratch / "perf.log"
    with started(proxy, scenario, bench.scratch) as process:
        pids = ",".join(str(pid) for pid in process.pids())
        command = ["perf", "trace", "-s", "-m", BUFFER, "-o", summary, "-p", pids]
        with Process("perf", command, LOAD_CORE, log, first=True) as perf:
            # It does not say when it begins to count.
            time.sleep(1)
            before = int(fetch(load.origin_port, "/count")[1])
            with Process("load", load.command(port, COUNT_S), LOAD_CORE) as running:
                output, _ = running.popen.communicate(timeout=60)
            requests = int(fetch(load.origin_port, "/count")[1]) - before
            perf.popen.send_signal(signal.SIGINT)
            perf.popen.wait(timeout=30)
    if "LOST" in log.read_text(encoding="utf-8"):
        raise RuntimeError("perf could not keep up")
    calls = calls_in(summary.read_text(encoding="utf-8"))
    figures = load.figures(output)
    if requests <= 0 or not calls or figures is None:
        raise RuntimeError(f"perf says: {perf.last_words()}")
    return Sample(scenario.name, proxy.name, round_number, errors=figures.errors, syscalls=sum(calls.values()) / requests,
                  enters=calls.get("io_uring_enter", 0) / requests, futexes=calls.get("futex", 0) / requests)


def calls_in(summary):
    """How often each system call stands in a summary by thread."""
    calls = {}
    for name, count in CALL.findall(summary):
        calls[name] = calls.get(name, 0) + int(count)
    return calls
