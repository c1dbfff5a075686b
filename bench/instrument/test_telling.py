"""The page and the charts. Run by `make bench-test`."""

import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

from . import pages, plots, record, report, svg
from .figures import Figures
from .sample import Sample, read_csv
from .scenarios import SCENARIOS

FACTS = {"date": "2026-11-28", "rounds": 1, "window_s": 1.0, "took_min": 1.0, "peers": ["nginx", "haproxy"], "new_peers": [],
         "machine": [["processor", "one"]], "proxies": [["nginx", "1.22.1; released in October 2022, 4.1 years ago"]],
         "failures": ["small with nginx: it ended"]}


def samples():
    """One of each scenario for each of three proxies."""
    made = []
    for scenario in SCENARIOS:
        for place, proxy in enumerate(("floor", "gatekeeper", "nginx")):
            made.append(Sample(scenario.name, proxy, 0, requests_per_s=1000.0, cpu_us=10.0 + place, busy=0.5, p50_ms=0.1, p99_ms=1.0,
                               p999_ms=2.0, errors=0, peak_rss_mib=10.0, rate_per_s=500.0, syscalls=1.0, enters=0.4, futexes=0.0,
                               idle_bytes=1000.0, instructions=14_000.0, foreign_cores=0.0))
    return made


def parsed(drawn):
    """A chart as XML, which it must be."""
    return xml.etree.ElementTree.fromstring(drawn)


def words(drawn):
    """All its text."""
    return " ".join(element.text or "" for element in parsed(drawn).iter() if element.tag.endswith("text"))


class Page(unittest.TestCase):
    def setUp(self):
        self.figures = Figures(samples(), FACTS["peers"])

    def test_every_scenario_stands_in_the_page(self):
        page = report.page(self.figures, FACTS, {}, "last")
        for scenario in SCENARIOS:
            self.assertIn(f"| {scenario.name} ", page)

    def test_missed_aims_are_told_like_met_ones(self):
        table = report.markdown(report.targets_table(self.figures))
        self.assertIn("**missed**", table)
        self.assertIn("| met ", table)

    def test_what_failed_and_how_old_a_peer_is_are_told(self):
        page = report.page(self.figures, FACTS, {}, "last")
        self.assertIn("* not measured: small with nginx: it ended", page)
        self.assertIn("4.1 years ago", page)

    def test_aims_that_were_not_measured_are_said_to_be(self):
        self.assertIn("not measured", report.markdown(report.targets_table(Figures([], ()))))
        self.assertEqual(len(report.targets_table(Figures([], ()), every=False)), 1)

    def test_columns_line_up(self):
        lines = report.markdown([["a", "bb"], ["ccc", "d"]]).splitlines()
        self.assertEqual(lines, ["| a   | bb |", "|-----|----|", "| ccc | d  |"])

    def test_a_record_is_made_anew_from_its_samples(self):
        with tempfile.TemporaryDirectory() as folder:
            record.write(Path(folder), "matrix", samples(), FACTS)
            page = Path(folder, "matrix.md")
            before = page.read_text(encoding="utf-8")
            page.unlink()
            self.assertEqual(record.tell(Path(folder), "matrix"), before)
            self.assertEqual(page.read_text(encoding="utf-8"), before)
            for picture in plots.all_of(self.figures):
                self.assertTrue(Path(folder, "matrix", f"{picture}.svg").exists())
                self.assertIn(f"(matrix/{picture}.svg)", before)


class Document(unittest.TestCase):
    def test_the_parts_of_the_document_are_those_of_the_committed_record(self):
        file = record.RECORD / "matrix.csv"
        figures = Figures(read_csv(file), (facts := record.facts_of(record.RECORD, "matrix"))["peers"])
        page = pages.PAGE.read_text(encoding="utf-8")
        self.assertEqual(pages.refreshed(page, figures, facts, "../bench/record/matrix"), page, "run bench/report")

    def test_a_peer_that_is_ahead_is_told_with_its_name(self):
        made = [Sample("16 KiB down", "gatekeeper", 0, cpu_us=20.0), Sample("16 KiB down", "nginx", 0, cpu_us=10.0),
                Sample("16 KiB up", "gatekeeper", 0, cpu_us=5.0), Sample("16 KiB up", "nginx", 0, cpu_us=10.0)]
        told = pages.better(Figures(made, ["nginx"]))
        self.assertIn("| 16 KiB down | CPU µs per request | 20.0       | 10.0      | nginx | 2.00  |", told)
        self.assertNotIn("16 KiB up", told)

    def test_what_people_wrote_stays(self):
        text = "a\n<!-- made by bench/report: estimate -->\nold\n<!-- end -->\nz\n"
        new = pages.refreshed(text, Figures([], ()), FACTS, "c")
        self.assertTrue(new.startswith("a\n<!-- made by") and new.endswith("<!-- end -->\nz\n"), new)
        self.assertNotIn("old", new)


class Charts(unittest.TestCase):
    def test_every_chart_is_well_formed_and_inside_its_frame(self):
        for name, drawn in plots.all_of(Figures(samples(), FACTS["peers"])).items():
            root = parsed(drawn)
            width, height = (float(root.get(side)) for side in ("width", "height"))
            for element in root.iter():
                x, y = float(element.get("x", 0)), float(element.get("y", 0))
                self.assertTrue(0 <= x + float(element.get("width", 0)) <= width, f"{name}: {element.attrib}")
                self.assertTrue(0 <= y + float(element.get("height", 0)) <= height, f"{name}: {element.attrib}")

    def test_no_words_run_out_of_the_picture(self):
        for name, drawn in plots.all_of(Figures(samples(), FACTS["peers"])).items():
            width = float(parsed(drawn).get("width"))
            for element in (element for element in parsed(drawn).iter() if element.tag.endswith("text")):
                # A letter is about half as wide as it is high.
                wide = 0.5 * float(element.get("font-size")) * len(element.text)
                left = float(element.get("x")) - {"start": 0, "middle": wide / 2, "end": wide}[element.get("text-anchor")]
                self.assertTrue(left >= 0 and left + wide <= width, f"{name}: {element.text}")

    def test_without_figures_there_are_no_charts(self):
        self.assertEqual(plots.all_of(Figures([], ())), {})

    def test_a_bar_beyond_the_limit_is_cut_and_told(self):
        drawn = svg.bars("t", "s", [("g", [svg.Bar(1.0, "red", "1 µs", "a"), svg.Bar(9.0, "blue", "9 µs", "b")])], limit=2.0)
        lengths = [float(element.get("width")) for element in parsed(drawn) if element.tag.endswith("rect")][1:]
        self.assertAlmostEqual(lengths[1] / lengths[0], 2.0, places=2)
        self.assertIn("b  9 µs", words(drawn))

    def test_names_are_escaped(self):
        self.assertIn("a < b & c", words(svg.bars("a < b & c", "", [("g", [svg.Bar(1.0, "red", "1", "n")])])))

    def test_ten_times_as_much_is_as_far_on_a_logarithmic_axis_anywhere(self):
        drawn = svg.dots("t", "s", [("a", "red", [("p50", 0.1), ("p99", 1.0), ("p99.9", 10.0)])], "ms")
        places = [float(element.get("cx")) for element in parsed(drawn) if element.tag.endswith("circle")]
        self.assertAlmostEqual(places[1] - places[0], places[2] - places[1], places=0)


if __name__ == "__main__":
    unittest.main()
