"""Telling a run: tables in Markdown, from nothing but its samples and facts.

In scope: which columns a chapter has, the page. Out of scope: statistics (figures), charts (plots), files (record).
"""

from .figures import CHEAPEST
from .quiet import FOREIGN_CORES_MAX
from .scenarios import SCENARIOS
from .targets import TARGETS

FLOOR = "floor"
MEASURED = "\u2013"

EXPLANATION = f"""\
CPU is the proxy's user and system time per request (per exchange in tunnels), the median of the rounds; `× floor` and
`× peer` are medians of the ratios within each round, to the floor and to the cheapest peer of that round. `busy` is the share
of its core that the proxy used; well below 100 % the load was the limit, and requests per second say nothing about the proxy.
Latency in a closed loop includes waiting behind the other connections. `disturbed` counts measurements during which other
programs used more than {FOREIGN_CORES_MAX:.0%} of a core. Only ratios within this run mean something."""


def number(value, form="{:.2f}"):
    """A figure, or a dash where there is none."""
    return MEASURED if value is None else form.format(value)


def markdown(rows):
    """A table whose columns line up also as plain text; the first row is its head."""
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def targets_table(figures, every=True):
    """Every aim, or those that were measured, and whether it is met."""
    rows = [["work", "what", "aim", "measured", ""]]
    for target in TARGETS:
        measured = target.measured(figures)
        if measured is None and not every:
            continue
        met = {None: "not measured", True: "met", False: "**missed**"}[target.is_met(figures)]
        rows.append([target.scenario, target.told(), f"≤ {target.bound:,g}", number(measured, target.form()), met])
    return rows


def cost_row(figures, scenario, proxy):
    """The columns of a scenario that was measured by cost."""
    least_most = figures.spread(scenario, proxy, "cpu_us")
    disturbed, of = figures.disturbed(scenario, proxy)
    return [
        scenario, proxy, number(figures.median(scenario, proxy, "cpu_us")),
        MEASURED if least_most is None else f"{least_most[0]:.1f}–{least_most[1]:.1f}",
        number(figures.ratio((scenario, proxy), (scenario, FLOOR))),
        number(figures.ratio((scenario, proxy), (scenario, CHEAPEST))),
        number(figures.median(scenario, proxy, "requests_per_s"), "{:,.0f}"),
        number(figures.median(scenario, proxy, "busy"), "{:.0%}"),
        *(number(figures.median(scenario, proxy, field)) for field in ("p50_ms", "p99_ms", "p999_ms")),
        number(figures.median(scenario, proxy, "peak_rss_mib"), "{:.0f}"),
        f"{figures.total(scenario, proxy, 'errors')}", f"{disturbed} of {of}",
    ]


COST_HEAD = ["scenario", "proxy", "CPU µs", "min–max", "× floor", "× peer", "requests/s", "busy", "p50 ms", "p99 ms", "p99.9 ms",
             "peak MiB", "errors", "disturbed"]


def cost_table(figures, scenarios):
    """Scenarios that were measured by cost."""
    return [COST_HEAD] + [cost_row(figures, scenario, proxy) for scenario in scenarios for proxy in figures.proxies(scenario)]


def plain_table(figures, scenarios, columns):
    """Other kinds; `columns` are (title, field, form)."""
    rows = [["scenario", "proxy", *(title for title, _, _ in columns)]]
    for scenario in scenarios:
        for proxy in figures.proxies(scenario):
            rows.append([scenario, proxy, *(number(figures.median(scenario, proxy, field), form) for _, field, form in columns)])
    return rows


LATENCY = (("rate asked/s", "rate_per_s", "{:,.0f}"), ("requests/s", "requests_per_s", "{:,.0f}"), ("p50 ms", "p50_ms", "{:.2f}"),
           ("p99 ms", "p99_ms", "{:.2f}"), ("p99.9 ms", "p999_ms", "{:.2f}"), ("CPU µs", "cpu_us", "{:.2f}"),
           ("worker µs", "worker_cpu_us", "{:.2f}"), ("errors", "errors", "{:.0f}"), ("reloads in the window", "beside", "{:.0f}"))
WATCHED = (("CPU µs", "cpu_us", "{:.2f}"), ("worker µs", "worker_cpu_us", "{:.2f}"), ("requests/s", "requests_per_s", "{:,.0f}"),
           ("p99 ms", "p99_ms", "{:.2f}"), ("peak MiB", "peak_rss_mib", "{:.0f}"), ("errors", "errors", "{:.0f}"))
# Chapters whose tables are their own.
COLUMNS = {"Latency": LATENCY, "Reloads": LATENCY, "Being watched": WATCHED}
KINDS = {
    "calls": (("system calls", "syscalls", "{:.3f}"), ("io_uring_enter", "enters", "{:.3f}"), ("futex", "futexes", "{:.4f}")),
    "idle": (("bytes/connection", "idle_bytes", "{:,.0f}"), ("peak MiB", "peak_rss_mib", "{:.0f}")),
    "instructions": (("instructions/request", "instructions", "{:,.0f}"),),
}
# Where each chapter's chart stands.
CHARTS = {"Small replies": "small-replies", "Bodies": "bodies", "Connections": "connections", "Workers": "workers-and-services", "Latency": "latency",
          "Idle memory": "idle-memory", "System calls": "system-calls", "Instructions": "workers"}


def chapter_table(figures, chapter):
    """The table of a chapter, or None when nothing of it was measured."""
    measured = set(figures.scenarios())
    found = [scenario for scenario in SCENARIOS if scenario.chapter == chapter and scenario.name in measured]
    names = [scenario.name for scenario in found]
    if not names:
        return None
    if chapter in COLUMNS:
        return plain_table(figures, names, COLUMNS[chapter])
    return cost_table(figures, names) if found[0].kind == "cost" else plain_table(figures, names, KINDS[found[0].kind])


def chapters():
    """Titles in the order of the scenarios."""
    return list(dict.fromkeys(scenario.chapter for scenario in SCENARIOS))


def page(figures, facts, charts, folder):
    """The whole record; `charts` are the names of those that were drawn, in `folder`."""
    lines = ["# Record: the whole matrix", "", f"Measured on {facts['date']}, {facts['rounds']} round{'s' if facts['rounds'] > 1 else ''}, windows of "
             f"{facts['window_s']:g} s, {facts['took_min']:.0f} minutes in all.", "", "## What was aimed at", ""]
    lines += picture("targets", charts, folder, "each aim and how near it is") + [markdown(targets_table(figures)), ""]
    for chapter in chapters():
        rows = chapter_table(figures, chapter)
        if rows:
            lines += [f"## {chapter}", "", *picture(CHARTS.get(chapter), charts, folder, chapter), markdown(rows), ""]
    lines += ["## How to read it", "", *EXPLANATION.splitlines(), "", "## The machine and the proxies", ""]
    lines += [f"* {name}: {value}" for name, value in facts["machine"] + facts["proxies"]]
    lines += [f"* not measured: {failure}" for failure in facts["failures"]]
    return "\n".join(lines) + "\n"


def picture(name, charts, folder, words):
    """The lines that show a chart, if there is one."""
    return [f"![{words}]({folder}/{name}.svg)", ""] if name in charts else []
