"""Telling the figures: a table for the eyes, CSV for programs.

In scope: medians, spread, ratios within a round. Out of scope: making samples (measure).
"""

import csv
import dataclasses
import os
from statistics import median

from .proxies import BENCH, PEERS, RELEASE
from .quiet import FOREIGN_CORES_MAX


@dataclasses.dataclass
class Form:
    """How a kind of record is told: what a row is about, what costs are per, against whom."""

    about: str
    per: str
    rivals: dict
    notes: str


def cheaper_peer(costs):
    """The lower cost among the peers."""
    return min((costs[peer] for peer in PEERS if peer in costs), default=None)


FLOOR = {"× floor": lambda costs: costs.get("floor")}
REPLIES = Form("connections", "request", FLOOR | {"× cheaper peer": cheaper_peer}, "")
EXCHANGES = Form(
    "exchange", "exchange",
    FLOOR | {f"× {name}": lambda costs, name=name: costs.get(name) for name in ("haproxy", "haproxy-splice", "nginx")},
    """An exchange is one message up and its answer down, one after the other on each connection: `tcp 64 B` and
`websocket 64 B` have 64 bytes of payload each way and 64 connections, `download` and `upload` 1 MiB one way, 64 bytes
the other and 16 connections. Both ends check every byte.
""")


def table(samples, form):
    """The table as rows of text, the head first."""
    rows = [[form.about, "proxy", f"CPU µs/{form.per}", "min–max", "worker µs", *form.rivals, f"{form.per}s/s", "busy",
             "p50 ms", "p99 ms", "errors", "peak MiB", "disturbed"]]
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        group = [sample for sample in samples if sample.scenario == scenario]
        for proxy in dict.fromkeys(sample.proxy for sample in group):
            rows.append(row(scenario, proxy, group, form))
    return rows


def row(scenario, proxy, group, form):
    """One proxy in one scenario: medians over the rounds."""
    own = [sample for sample in group if sample.proxy == proxy]
    costs = [sample.cpu_us for sample in own]
    workers = [sample.worker_cpu_us for sample in own if sample.worker_cpu_us is not None]
    return [
        scenario, proxy, f"{median(costs):.2f}", f"{min(costs):.2f}–{max(costs):.2f}",
        f"{median(workers):.2f}" if workers else "–",
        *(ratio(own, group, rival) for rival in form.rivals.values()),
        f"{median(sample.requests_per_s for sample in own):,.0f}",
        f"{median(sample.busy for sample in own):.0%}",
        f"{median(sample.p50_ms for sample in own):.2f}", f"{median(sample.p99_ms for sample in own):.2f}",
        f"{sum(sample.errors for sample in own)}", f"{median(sample.peak_rss_mib for sample in own):.1f}",
        f"{sum(sample.foreign_cores > FOREIGN_CORES_MAX for sample in own)} of {len(own)}",
    ]


def idle_table(samples):
    """What an idle tunnel keeps, as rows of text, the head first."""
    rows = [["idle tunnels", "proxy", "bytes/tunnel", "min–max", "MiB before", "MiB idle"]]
    for kind in dict.fromkeys(sample.scenario for sample in samples):
        for proxy in dict.fromkeys(sample.proxy for sample in samples):
            own = [sample for sample in samples if (sample.scenario, sample.proxy) == (kind, proxy)]
            if own:
                each = [sample.bytes_per_tunnel for sample in own]
                rows.append([f"{own[0].tunnels:,} {kind}", proxy, f"{median(each):,.0f}", f"{min(each):,.0f}–{max(each):,.0f}",
                             f"{median(sample.before_mib for sample in own):.1f}",
                             f"{median(sample.idle_mib for sample in own):.1f}"])
    return rows


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


def write(record, other, samples, form, facts, idle=()):
    """Writes NAME.csv with every sample and NAME.md with the tables and the facts; says where.

    A committed record when `record` names one, else a file named `other` beside what is built.
    """
    folder, name = (BENCH / "record", record) if record else (RELEASE.parent / "bench", other)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / f"{name}.csv", samples)
    lines = [f"# Record: {name}", "", markdown(table(samples, form)), "",
             f"CPU is the proxy's user and system time per {form.per}, median of the rounds; `worker` is that of the data",
             "plane's threads alone; ratios are medians of the ratios within each round; `busy` is the share of its",
             "core that the proxy used; latency includes connecting; `disturbed` counts the measurements during which other",
             f"programs used more than {FOREIGN_CORES_MAX:.0%} of a core.", "", *form.notes.splitlines()]
    if form.notes:
        lines.append("")
    if idle:
        write_csv(folder / f"{name}-idle.csv", idle)
        lines += [markdown(idle_table(idle)), "",
                  "Bytes are the growth of the proxy's resident memory, both sides of a tunnel together, from serving its",
                  "first client to tunnels that carried 64 bytes each way once and nothing for 10 seconds.", ""]
    lines += [f"* {name}: {value}" for name, value in facts]
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\nwritten to {os.path.relpath(folder)}/{name}.md and .csv")


def write_csv(path, samples):
    """Every sample, one a line."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(samples[0]))
        for sample in samples:
            writer.writerow(round(value, 3) if isinstance(value, float) else value
                            for value in dataclasses.astuple(sample))
