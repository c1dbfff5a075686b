"""What is aimed at, as data, and what became of it.

In scope: every aim with its bound. An aim that is missed stays here; its bound is not moved to meet a figure. Out of scope:
why it is missed (docs/performance.md).
"""

from dataclasses import dataclass

from .figures import CHEAPEST
from .scenarios import PEAK, RULED, WATCHED

US, FLOOR = "gatekeeper", "floor"


@dataclass(frozen=True)
class Target:
    """A figure of the gateway in a scenario, or its ratio to the same figure elsewhere, and its bound."""

    scenario: str
    bound: float
    # A pair of scenario and proxy; none for a plain figure.
    to: tuple = ()
    field: str = "cpu_us"
    # What the figure is called where it is none of CPU.
    what: str = "CPU"

    def told(self):
        """Against what it is held."""
        if not self.to:
            return self.what
        scenario, proxy = self.to
        against = proxy if scenario == self.scenario else scenario
        return f"{self.what} × {against}"

    def form(self):
        """How its figures are written: with as many digits as decide."""
        return "{:,.0f}" if self.bound > 100 else "{:.2f}" if self.bound else "{:.3f}"

    def measured(self, figures):
        """The ratio or figure; None where it was not measured."""
        if self.to:
            return figures.ratio((self.scenario, US), self.to, self.field)
        if self.field == "errors":
            values = figures.values(self.scenario, US, self.field)
            return float(sum(values.values())) if values else None
        return figures.median(self.scenario, US, self.field)

    def is_met(self, figures):
        """None where it was not measured. What is met to the digits that are told is met."""
        measured = self.measured(figures)
        return None if measured is None else float(self.form().format(measured).replace(",", "")) <= self.bound


def against_peers(scenario, bound):
    """CPU against the cheapest peer."""
    return Target(scenario, bound, (scenario, CHEAPEST))


def against_floor(scenario, bound):
    """CPU against the floor."""
    return Target(scenario, bound, (scenario, FLOOR))


def bodies():
    """Bodies both ways, and new connections."""
    for size in ("16 KiB", "256 KiB", "1 MiB"):
        yield against_peers(f"{size} down", 0.85)
        yield against_peers(f"{size} up", 0.85)
    yield against_peers("connection per request", 0.85)


TARGETS = (
    against_floor("small, 64 connections", 1.15), against_peers("small, 64 connections", 0.65),
    against_floor("small, 1,000 connections", 1.15), against_peers("small, 1,000 connections", 0.55),
    against_peers("small, 10,000 connections", 0.40), Target("small, 10,000 connections", 0, field="errors", what="errors"),
    *bodies(),
    against_floor("tcp 64 B", 1.10), against_floor("websocket 64 B", 1.10),
    Target("5,000 services", 1.10, ("1 service", US)),
    Target(RULED, 1.10, (PEAK, US)),
    Target(WATCHED, 1.08, (PEAK, US), "worker_cpu_us", "worker"),
    Target("48 workers on one core", 1.25, ("2 workers on one core", US)),
    Target("with ten reloads a second", 1.2, ("without reloads", US), "p99_ms", "p99"),
    # 1.1 KiB.
    Target("10,000 idle clients", 1126, field="idle_bytes", what="bytes each"),
    Target("system calls, 64 connections", 0.5, field="enters", what="io_uring_enter"),
    Target("system calls, 64 connections", 0, field="futexes", what="futex"),
    Target("system calls, 1,000 connections", 0.5, field="enters", what="io_uring_enter"),
    Target("system calls, 1,000 connections", 0, field="futexes", what="futex"),
    Target("instructions, 48 workers", 1.05, ("instructions, 1 worker", US), "instructions", "instructions"),
)
