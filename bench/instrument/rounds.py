"""Interleaving: everything is measured with every proxy, again and again, beginning with another proxy each time.

In scope: the order, measuring again what was disturbed, the line for each measurement, how long it still takes.
Out of scope: what a measurement is.
"""

import subprocess
import time

from .quiet import FOREIGN_CORES_MAX


def plan(scenarios, proxies, rounds, pair_rounds):
    """Every measurement in its order: (round, scenario, proxy)."""
    for number in range(max(rounds, pair_rounds)):
        shift = number % len(proxies)
        for scenario in scenarios:
            for proxy in proxies[shift:] + proxies[:shift]:
                if scenario.takes_part(proxy) and is_due(scenario, proxy, number, rounds, pair_rounds):
                    yield number, scenario, proxy


def is_due(scenario, proxy, number, rounds, pair_rounds):
    """Whether this round has it."""
    if number < rounds:
        return number < scenario.rounds_max
    return number < pair_rounds and proxy.name in scenario.pairs


def duration_s(scenario, window_s):
    """About how long one measurement takes, beginning and end included."""
    if scenario.kind == "cost":
        return scenario.warm_s + window_s + 1.8 + scenario.load.connections / 10_000
    return {"idle": 16.0, "calls": 5.0, "instructions": 32.0}[scenario.kind]


def interleave(bench, steps, measure):
    """Appends to `bench.samples` what `measure(proxy, scenario, round)` gives for each of `steps`."""
    progress = Progress(len(steps))
    for number, scenario, proxy in steps:
        label = f"{progress.told()}  {scenario.name:<34} {proxy.name:<14}"
        measure_undisturbed(bench, label, scenario, lambda: measure(proxy, scenario, number))
        progress.step()


class Progress:
    """How far it is, and how long it still takes if it goes on like this."""

    def __init__(self, steps):
        self.steps, self.done, self.began_s = steps, 0, time.monotonic()

    def step(self):
        """One more is done."""
        self.done += 1

    def told(self):
        """Such as `[ 12/300, 40 min]`."""
        left = (time.monotonic() - self.began_s) / self.done * (self.steps - self.done) if self.done else None
        return f"[{self.done + 1:>3}/{self.steps}{'' if left is None else f', {minutes(left)} left'}]"


def minutes(seconds):
    """A duration for eyes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def measure_undisturbed(bench, label, scenario, measure):
    """One measurement, made again while it was disturbed and patience lasts."""
    while True:
        bench.patience.wait()
        began_s = time.monotonic()
        try:
            sample = measure()
        except (RuntimeError, subprocess.TimeoutExpired) as fault:
            print(f"{label}  failed: {fault}", flush=True)
            bench.failures.append(f"{label.strip()}: {fault}")
            return
        disturbed = (sample.foreign_cores or 0) > FOREIGN_CORES_MAX
        again = disturbed and bench.patience.left_s > 0
        print(f"{label}  {sample.told()}{'  disturbed' if disturbed else ''}{', once more' if again else ''}", flush=True)
        # The sockets of this measurement go out of the way of the next one.
        time.sleep(0.2 + scenario.load.connections / 20_000)
        if not again:
            bench.samples.append(sample)
            return
        bench.patience.spend(time.monotonic() - began_s)
