"""What all measurements of one run share.

In scope: the window, the scratch folder, the origins, samples so far and the rates that follow from them. Out of scope:
the order of the measurements (rounds).
"""

import contextlib
import pathlib
from dataclasses import dataclass, field
from statistics import median

from .loads import Steady, serves
from .measure import LOAD_CORE
from .processes import Process, wait_until
from .proxies import (MESSAGE_ORIGIN_COMMAND, MESSAGE_ORIGIN_PORT, ORIGIN_COMMAND, ORIGIN_PORT, SLOW_ORIGIN_COMMAND,
                      SLOW_ORIGIN_PORT)
from .quiet import Patience

ORIGINS = (("origin", ORIGIN_COMMAND, ORIGIN_PORT), ("messages", MESSAGE_ORIGIN_COMMAND, MESSAGE_ORIGIN_PORT),
           ("slow", SLOW_ORIGIN_COMMAND, SLOW_ORIGIN_PORT))


@dataclass
class Bench:
    """One run."""

    scratch: pathlib.Path
    window_s: float
    patience: Patience
    origins: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    def rate(self, proxy, load):
        """The rate of an open loop, from what was measured before; None for other loads."""
        if not isinstance(load, Steady):
            return None
        peaks = {}
        for sample in self.samples:
            if sample.scenario == load.of and sample.requests_per_s:
                peaks.setdefault(sample.proxy, []).append(sample.requests_per_s)
        if load.least:
            return load.share * min(median(own) for own in peaks.values())
        if proxy.name not in peaks:
            raise RuntimeError(f"no peak of {proxy.name} was measured")
        return load.share * median(peaks[proxy.name])


@contextlib.contextmanager
def origins(scratch):
    """The servers behind the proxies. They go before the programs that share the load's core."""
    with contextlib.ExitStack() as running:
        found = []
        for name, command, port in ORIGINS:
            found.append(running.enter_context(Process(name, command, LOAD_CORE, f"{scratch}/{name}.log")))
            wait_until(lambda port=port: serves(port, "/ping"), 10, f"the {name} serves")
        yield found
