"""A run as files: NAME.csv with every sample, NAME.json with the facts, NAME.md and the charts, which follow from those two;
of a record that is committed, also the parts of docs/performance.md.

In scope: writing and reading them. Out of scope: what stands in them.
"""

import json

from . import pages, plots, report
from .figures import Figures
from .proxies import BENCH, RELEASE
from .sample import read_csv, write_csv

RECORD = BENCH / "record"
# Where runs go that are not to be committed.
LAST = RELEASE.parent / "bench"


def write(folder, name, samples, facts):
    """Everything of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / f"{name}.csv", samples)
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    tell(folder, name)


def tell(folder, name):
    """Makes the page and the charts anew from the samples and facts; gives the page."""
    facts = facts_of(folder, name)
    figures = Figures(read_csv(folder / f"{name}.csv"), facts["peers"])
    charts = plots.all_of(figures)
    (folder / name).mkdir(exist_ok=True)
    for title, drawn in charts.items():
        (folder / name / f"{title}.svg").write_text(drawn, encoding="utf-8")
    page = report.page(figures, facts, charts, name)
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
    if folder == RECORD:
        pages.write(figures, facts, folder, name)
    return page


def facts_of(folder, name):
    """What `bench/run` noted beside the samples."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
