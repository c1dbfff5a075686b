"""Knowing when something else uses the processors, and waiting for it to stop.

In scope: how many cores' worth of time went to others, a bounded patience. Out of scope: whether a disturbed sample is
kept; bench/run decides.
"""

import os
import time

from .processes import CLOCK_TICK_S, read

# More than this share of a core used by others disturbs a measurement.
FOREIGN_CORES_MAX = 0.10


def busy_s():
    """Seconds that all cores were not idle, what the hypervisor took included: differences of two count, nothing else.

    What was not idle, and not the sum of the kinds of work: where one core receives what the other sends, the kernel counts
    a part of that as system and as softirq time both.
    """
    _user, _nice, _system, idle, wait = map(int, read("/proc/stat").splitlines()[0].split()[1:6])
    return time.monotonic() * os.cpu_count() - (idle + wait) * CLOCK_TICK_S


class Patience:
    """A budget of seconds to wait, and to measure again what was disturbed."""

    def __init__(self, seconds):
        self.left_s = seconds

    def wait(self):
        """Returns when the machine is quiet, or the budget is used up."""
        while self.left_s > 0 and foreign_cores_now(0.5) > FOREIGN_CORES_MAX:
            self.spend(0.5 + 1.0)
            time.sleep(1.0)

    def spend(self, seconds):
        """Takes from the budget."""
        self.left_s -= seconds


def foreign_cores_now(seconds):
    """Cores that are in use while this program does nothing."""
    before = busy_s()
    time.sleep(seconds)
    return (busy_s() - before) / seconds
