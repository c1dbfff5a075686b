"""One measurement's figures, and the CSV that holds them all.

In scope: the columns, writing and reading them. Out of scope: making samples (measure and its neighbours), what they
mean together (figures).
"""

import csv
import dataclasses
import types
import typing


@dataclasses.dataclass
class Sample:
    """One measurement; None where it has no such figure."""

    scenario: str
    proxy: str
    round: int
    requests_per_s: float | None = None
    cpu_us: float | None = None
    worker_cpu_us: float | None = None
    busy: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    errors: int | None = None
    peak_rss_mib: float | None = None
    descriptors: int | None = None
    # Of the open loop: what was asked for.
    rate_per_s: float | None = None
    # Counted by perf trace.
    syscalls: float | None = None
    enters: float | None = None
    futexes: float | None = None
    # Resident memory of an idle connection.
    idle_bytes: float | None = None
    # Counted by callgrind.
    instructions: float | None = None
    # How often something happened beside the load: reloads, questions for metrics.
    beside: float | None = None
    # Cores that other programs used meanwhile.
    foreign_cores: float | None = None

    def told(self):
        """The figures in one line."""
        forms = (("cpu_us", "{:7.2f} µs"), ("requests_per_s", "{:8,.0f}/s"), ("busy", "busy {:4.0%}"),
                 ("p99_ms", "p99 {:8.2f} ms"), ("errors", "errors {}"), ("syscalls", "{:.2f} system calls"),
                 ("enters", "{:.3f} enters"), ("futexes", "{:.3f} futexes"), ("idle_bytes", "{:,.0f} B/connection"),
                 ("instructions", "{:,.0f} instructions"), ("beside", "{:.0f} beside"))
        return "  ".join(form.format(getattr(self, name)) for name, form in forms if getattr(self, name) is not None)


def write_csv(path, samples):
    """Every sample, one a line."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(samples[0]))
        for sample in samples:
            writer.writerow(round(value, 4) if isinstance(value, float) else value
                            for value in dataclasses.astuple(sample))


def read_csv(path):
    """The samples of a file that `write_csv` wrote. A column that it lacks, as older files do, is None."""
    kinds = {field.name: kind_of(field.type) for field in dataclasses.fields(Sample)}
    with open(path, encoding="utf-8", newline="") as file:
        return [Sample(**{name: kinds[name](text) if text else None for name, text in row.items() if name in kinds})
                for row in csv.DictReader(file)]


def kind_of(annotation):
    """The type in an annotation, without None."""
    if isinstance(annotation, types.UnionType):
        return next(kind for kind in typing.get_args(annotation) if kind is not types.NoneType)
    return annotation
