"""Telling the figures: a table for the eyes, CSV for programs.

In scope: medians, spread, ratios within a round. Out of scope: making samples (measure).
"""

import csv
import dataclasses
from statistics import median

from .measure import Sample
from .proxies import PEERS
from .quiet import FOREIGN_CORES_MAX

COLUMNS = ["connections", "proxy", "CPU µs/request", "min–max", "worker µs", "× floor", "× cheaper peer", "requests/s",
           "busy", "p50 ms", "p99 ms", "errors", "peak MiB", "disturbed"]


def table(samples):
    """The table as rows of text, the head first."""
    rows = [COLUMNS]
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        group = [sample for sample in samples if sample.scenario == scenario]
        for proxy in dict.fromkeys(sample.proxy for sample in group):
            rows.append(row(scenario, proxy, group))
    return rows


def row(scenario, proxy, group):
    """One proxy in one scenario: medians over the rounds."""
    own = [sample for sample in group if sample.proxy == proxy]
    costs = [sample.cpu_us for sample in own]
    workers = [sample.worker_cpu_us for sample in own if sample.worker_cpu_us is not None]
    return [
        scenario, proxy, f"{median(costs):.2f}", f"{min(costs):.2f}–{max(costs):.2f}",
        f"{median(workers):.2f}" if workers else "–",
        ratio(own, group, lambda rivals: rivals.get("floor")),
        ratio(own, group, cheaper_peer),
        f"{median(sample.requests_per_s for sample in own):,.0f}",
        f"{median(sample.busy for sample in own):.0%}",
        f"{median(sample.p50_ms for sample in own):.2f}", f"{median(sample.p99_ms for sample in own):.2f}",
        f"{sum(sample.errors for sample in own)}", f"{median(sample.peak_rss_mib for sample in own):.1f}",
        f"{sum(sample.foreign_cores > FOREIGN_CORES_MAX for sample in own)} of {len(own)}",
    ]


def cheaper_peer(costs):
    """The lower cost among the peers."""
    return min((costs[peer] for peer in PEERS if peer in costs), default=None)


def ratio(own, group, rival_cost):
    """The median over the rounds of own cost to the rival's in the same round."""
    ratios = []
    for sample in own:
        costs = {rival.proxy: rival.cpu_us for rival in group if rival.round == sample.round}
        rival = rival_cost(costs)
        if rival:
            ratios.append(sample.cpu_us / rival)
    return f"{median(ratios):.2f}" if ratios else "–"


def markdown(rows):
    """A table whose columns line up also as plain text."""
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def write(folder, name, samples, facts):
    """Writes NAME.csv with every sample and NAME.md with the table and the facts."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(Sample))
        for sample in samples:
            writer.writerow(round(value, 3) if isinstance(value, float) else value
                            for value in dataclasses.astuple(sample))
    lines = [f"# Record: {name}", "", markdown(table(samples)), "",
             "CPU is the proxy's user and system time per request, median of the rounds; `worker` is that of the data",
             "plane's threads alone; ratios are medians of the ratios within each round; `busy` is the share of its",
             "core that the proxy used; latency includes connecting; `disturbed` counts the measurements during which other",
             f"programs used more than {FOREIGN_CORES_MAX:.0%} of a core.", ""]
    lines += [f"* {name}: {value}" for name, value in facts]
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
