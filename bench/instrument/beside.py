"""What happens beside a load: clients of a slow service, reloads, or questions for metrics.

In scope: beginning and ending it, counting it. Out of scope: which scenario has it.
"""

import contextlib
import os
import signal
import threading
from pathlib import Path

from .loads import Wrk, fetch
from .processes import Process
from .proxies import ADMIN_PORT
from .settings import services

LOAD_CORE = 1
RELOADS_PER_S = 10


class Others:
    """What is beside the load. `processes` cost time that is not foreign; `done` counts what happened."""

    def __init__(self):
        self.processes, self.counts, self.done_in = [], False, lambda: 0

    @property
    def done(self):
        """How often so far."""
        return self.done_in()


@contextlib.contextmanager
def beside(scenario, proxy, process, bench):
    """Whatever the scenario asks for, until the load is over."""
    others = Others()
    if scenario.beside == "slow clients":
        load = Wrk(200, "/slow")
        command = load.command(proxy.ports["http"], scenario.warm_s + bench.window_s + 1)
        with Process("slow clients", command, LOAD_CORE) as running:
            others.processes.append(running)
            yield others
    elif scenario.beside == "reloads":
        with reloads(process, Path(bench.scratch, "services-5000", "module.toml"), process.log) as done_in:
            others.counts, others.done_in = True, done_in
            yield others
    elif scenario.beside == "scrapes":
        with again_and_again(lambda _: fetch(ADMIN_PORT, "/metrics"), 1) as done_in:
            others.counts, others.done_in = True, done_in
            yield others
    else:
        yield others


@contextlib.contextmanager
def reloads(process, file, log):
    """Puts another file in place of `file` and says SIGHUP, again and again; gives a function that counts epochs."""
    original = file.read_text(encoding="utf-8")
    variants = [Path(f"{file}.{title}") for title in ("a", "b")]
    for weight, variant in zip((100, 50), variants):
        variant.write_text(services(5000, weight), encoding="utf-8")

    def reload(number):
        link = Path(f"{file}.new")
        os.link(variants[number % 2], link)
        os.replace(link, file)
        process.popen.send_signal(signal.SIGHUP)

    try:
        with again_and_again(reload, 1 / RELOADS_PER_S):
            yield lambda: Path(log).read_text(encoding="utf-8", errors="replace").count("config loaded")
    finally:
        file.write_text(original, encoding="utf-8")


@contextlib.contextmanager
def again_and_again(work, pause_s):
    """Calls `work` with 0, 1 and so on, in a thread of its own; gives a function that tells how often it has."""
    stop, done = threading.Event(), [0]

    def run():
        while not stop.wait(pause_s):
            work(done[0])
            done[0] += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield lambda: done[0]
    finally:
        stop.set()
        thread.join()
