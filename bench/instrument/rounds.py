"""Interleaving: everything is measured with every proxy, again and again, beginning with another proxy each time.

In scope: the order, measuring again what was disturbed, the line for each measurement. Out of scope: what a measurement is.
"""

import subprocess
import time

from .quiet import FOREIGN_CORES_MAX


def interleave(args, proxies, scenarios, samples, measure):
    """Appends to `samples` what `measure(proxy, scenario, round)` gives, for all that a proxy takes part in."""
    for number in range(args.rounds):
        shift = number % len(proxies)
        for scenario in scenarios:
            for proxy in proxies[shift:] + proxies[:shift]:
                if proxy.takes_part(scenario):
                    label = f"round {number + 1}/{args.rounds}  {scenario.name:>6}  {proxy.name:<10}"
                    measure_undisturbed(args.patience, label, scenario, samples,
                                        lambda: measure(proxy, scenario, number))


def measure_undisturbed(patience, label, scenario, samples, measure):
    """One measurement, made again while it was disturbed and patience lasts."""
    while True:
        patience.wait()
        began_s = time.monotonic()
        try:
            sample = measure()
        except (RuntimeError, subprocess.TimeoutExpired) as fault:
            print(f"{label}  failed: {fault}", flush=True)
            return
        disturbed = sample.foreign_cores > FOREIGN_CORES_MAX
        again = disturbed and patience.left_s > 0
        print(f"{label}  {sample.told()}{'  disturbed' if disturbed else ''}{', once more' if again else ''}", flush=True)
        # The sockets of this measurement go out of the way of the next one.
        time.sleep(0.2 + scenario.connections / 20_000)
        if not again:
            samples.append(sample)
            return
        patience.spend(time.monotonic() - began_s)
