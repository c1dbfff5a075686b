"""What happens beside a load: clients of a slow service, reloads, or questions for metrics.

In scope: beginning and ending it, counting it. Out of scope: which scenario has it.
"""

import contextlib
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
    variants = [services(5000, weight) for weight in (50, 100)]

    def reload(number):
        replace(file, variants[number % 2])
        process.popen.send_signal(signal.SIGHUP)

    try:
        with again_and_again(reload, 1 / RELOADS_PER_S):
            yield lambda: Path(log).read_text(encoding="utf-8", errors="replace").count("config loaded")
    finally:
        replace(file, original)


def replace(file, text):
    """As a deployment does it: whoever reads sees the old text or the new one."""
    new = Path(f"{file}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


@contextlib.contextmanager
def again_and_again(work, pause_s):
    """Calls `work` with 0, 1 and so on, in a thread of its own; gives a function that tells how often it has. What goes wrong
    there is raised at the end."""
    stop, done, faults = threading.Event(), [0], []

    def run():
        try:
            while not stop.wait(pause_s):
                work(done[0])
                done[0] += 1
        except OSError as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield lambda: done[0]
    finally:
        stop.set()
        thread.join()
    if faults:
        raise RuntimeError(f"what was to happen beside the load did not: {faults[0]}")
