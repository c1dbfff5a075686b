"""The parts of docs/performance.md that are made from the record.

In scope: finding them, making them. Out of scope: the rest of that page, which people write.
"""

import os
import re

from . import plots, report
from .figures import CHEAPEST
from .proxies import BENCH
from .scenarios import SCENARIOS
from .targets import US

PAGE = BENCH.parent / "docs" / "performance.md"
PART = re.compile(r"(<!-- made by bench/report: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
# A row of these is of 1,000 connections that each ask one small thing after another.
BUSY = "small, 1,000 connections"
CORES = 48


def refreshed(text, figures, facts, charts):
    """The page with its parts made anew; `charts` is the folder of the charts, as a link from the page."""
    makers = {"run": lambda: run(facts), "targets": lambda: targets(figures, charts), "better": lambda: better(figures),
              "charts": lambda: all_charts(figures, charts), "estimate": lambda: estimate(figures)}
    return PART.sub(lambda part: f"{part[1]}{makers[part[2]]()}\n{part[3]}", text)


def write(figures, facts, folder, name):
    """Makes the parts anew in the file."""
    charts = f"{os.path.relpath(folder, PAGE.parent)}/{name}"
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), figures, facts, charts), encoding="utf-8")


def run(facts):
    """When, how much, against whom."""
    peers = [f"{name} ({told})" for name, told in facts["proxies"] if name in ("nginx", "haproxy", *facts["new_peers"])]
    rounds = f"{facts['rounds']} round{'s' if facts['rounds'] > 1 else ''}"
    lines = [f"The record is of {facts['date']}: {rounds}, windows of {facts['window_s']:g} s. The peers:", "",
             *(f"* {peer}" for peer in peers)]
    return "\n".join(lines + [f"* Not measured: {failure}." for failure in facts["failures"]])


def targets(figures, charts):
    """Every aim."""
    return f"![each aim and how near it is]({charts}/targets.svg)\n\n{report.markdown(report.targets_table(figures))}"


def better(figures):
    """Each figure in which some peer is ahead of the gateway, by at least a hundredth."""
    rows = [["scenario", "figure", "gatekeeper", "best peer", "", "ratio"]]
    for scenario in SCENARIOS:
        for field, title, form in (("cpu_us", "CPU µs per request", "{:.1f}"), ("p99_ms", "p99 ms at a fixed rate", "{:.2f}"),
                                   ("idle_bytes", "resident bytes", "{:,.0f}")):
            if field == "p99_ms" and scenario.chapter != "Latency":
                continue
            ratio = figures.ratio((scenario.name, US), (scenario.name, CHEAPEST), field)
            if ratio is not None and ratio > 1.01:
                peer = figures.cheapest_peer(scenario.name, field)
                own, best = (form.format(figures.median(scenario.name, who, field)) for who in (US, peer))
                rows.append([scenario.name, title, own, best, peer, f"{ratio:.2f}"])
    return report.markdown(rows) if len(rows) > 1 else "Nowhere in this record."


def all_charts(figures, charts):
    """Every chart but that of the aims."""
    return "\n\n".join(f"![{name.replace('-', ' ')}]({charts}/{name}.svg)" for name in plots.all_of(figures) if name != "targets")


def estimate(figures):
    """The ceiling."""
    cost = figures.median(BUSY, US, "cpu_us")
    if cost is None:
        return "the row of 1,000 connections was not measured."
    return f"at {cost:.1f} µs a request with 1,000 connections, {1e6 / cost:,.0f} a second and core, {CORES / cost:.1f} million in all."
