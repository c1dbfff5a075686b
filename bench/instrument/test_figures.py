"""Statistics, aims and the order of measurements. Run by `make bench-test`."""

import tempfile
import unittest
from pathlib import Path

from .bench import Bench
from .figures import CHEAPEST, Figures
from .loads import Steady
from .proxies import PROXIES
from .quiet import Patience
from .rounds import duration_s, plan
from .sample import Sample, read_csv, write_csv
from .scenarios import PEAK, SCENARIOS, chosen
from .targets import TARGETS, Target


def sample(proxy, round_number, cpu_us, scenario="a", **rest):
    return Sample(scenario, proxy, round_number, cpu_us=cpu_us, **rest)


class Ratios(unittest.TestCase):
    def test_a_ratio_is_the_median_of_those_within_each_round(self):
        # The machine is twice as slow in the second round; a ratio of medians would not be 2.
        figures = Figures([sample("floor", 0, 10.0), sample("floor", 1, 20.0), sample("floor", 2, 10.0),
                           sample("gatekeeper", 0, 20.0), sample("gatekeeper", 1, 40.0)], ())
        self.assertEqual(figures.ratio(("a", "gatekeeper"), ("a", "floor")), 2.0)

    def test_the_cheapest_peer_is_chosen_in_each_round(self):
        figures = Figures([sample("nginx", 0, 15.0), sample("haproxy", 0, 10.0), sample("nginx", 1, 10.0),
                           sample("haproxy", 1, 15.0), sample("floor", 0, 1.0), sample("gatekeeper", 0, 5.0),
                           sample("gatekeeper", 1, 5.0)], ("nginx", "haproxy"))
        self.assertEqual(figures.ratios(("a", "gatekeeper"), ("a", CHEAPEST), "cpu_us"), [0.5, 0.5])

    def test_two_scenarios_are_compared_round_by_round(self):
        figures = Figures([sample("gatekeeper", 0, 10.0), sample("gatekeeper", 0, 11.0, "b"), sample("gatekeeper", 1, 30.0)], ())
        self.assertEqual(figures.ratio(("b", "gatekeeper"), ("a", "gatekeeper")), 1.1)

    def test_what_nobody_measured_has_no_figure(self):
        figures = Figures([sample("gatekeeper", 0, 10.0)], ("nginx",))
        self.assertIsNone(figures.ratio(("a", "gatekeeper"), ("a", CHEAPEST)))
        self.assertIsNone(figures.median("a", "nginx", "cpu_us"))
        self.assertIsNone(figures.cheapest_peer("a"))

    def test_disturbed_measurements_are_counted(self):
        figures = Figures([sample("nginx", 0, 1.0, foreign_cores=0.5), sample("nginx", 1, 1.0, foreign_cores=0.0)], ())
        self.assertEqual(figures.disturbed("a", "nginx"), (1, 2))


class Targets(unittest.TestCase):
    def test_a_missed_target_is_missed_by_its_second_digit(self):
        target = Target("a", 1.10, ("a", "floor"))
        for cost, met in ((11.0, True), (11.04, True), (11.1, False)):
            figures = Figures([sample("floor", 0, 10.0), sample("gatekeeper", 0, cost)], ())
            self.assertIs(target.is_met(figures), met, cost)

    def test_next_to_nothing_is_not_nothing(self):
        target = Target("a", 0, field="futexes")
        for each, met in ((0.0004, True), (0.0006, False)):
            self.assertIs(target.is_met(Figures([sample("gatekeeper", 0, 1.0, futexes=each)], ())), met, each)

    def test_one_error_in_any_round_is_an_error(self):
        target = Target("a", 0, field="errors")
        figures = Figures([sample("gatekeeper", 0, 1.0, errors=0), sample("gatekeeper", 1, 1.0, errors=1),
                           sample("gatekeeper", 2, 1.0, errors=0)], ())
        self.assertEqual((target.measured(figures), target.is_met(figures)), (1.0, False))

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        self.assertIsNone(TARGETS[0].is_met(Figures([], ())))

    def test_every_target_is_about_scenarios_that_there_are(self):
        names = {scenario.name for scenario in SCENARIOS}
        for target in TARGETS:
            self.assertIn(target.scenario, names)
            self.assertIn(target.to[0] if target.to else target.scenario, names)


class Scenarios(unittest.TestCase):
    def test_names_are_unique(self):
        names = [scenario.name for scenario in SCENARIOS]
        self.assertEqual(len(names), len(set(names)))

    def test_every_setting_is_one_of_the_gateway(self):
        ours = next(proxy for proxy in PROXIES if proxy.name == "gatekeeper")
        for scenario in SCENARIOS:
            self.assertTrue(scenario.takes_part(ours), scenario.name)

    def test_a_peak_is_measured_before_it_is_needed(self):
        for scenarios in (SCENARIOS, chosen("", True)):
            names = [scenario.name for scenario in scenarios]
            for scenario in scenarios:
                if isinstance(scenario.load, Steady):
                    self.assertLess(names.index(scenario.load.of), names.index(scenario.name))

    def test_words_choose_scenarios(self):
        self.assertEqual([scenario.name for scenario in chosen("1 service| websocket 64 B", False)], ["websocket 64 B", "1 service"])


class Plan(unittest.TestCase):
    def steps(self, rounds, pair_rounds):
        return [(number, scenario.name, proxy.name) for number, scenario, proxy in plan(SCENARIOS, PROXIES, rounds, pair_rounds)]

    def test_each_round_begins_with_another_proxy(self):
        firsts = [next(name for number, scenario, name in self.steps(2, 2) if (number, scenario) == (at, PEAK)) for at in (0, 1)]
        self.assertEqual(firsts, ["floor", "gatekeeper"])

    def test_further_rounds_have_only_the_pairs(self):
        further = {(scenario, proxy) for number, scenario, proxy in self.steps(5, 9) if number >= 5}
        self.assertIn(("tcp 64 B", "floor"), further)
        self.assertIn(("5,000 services", "gatekeeper"), further)
        self.assertFalse({proxy for _, proxy in further} & {"nginx", "haproxy"})

    def test_more_clients_than_descriptors_are_not_asked_of_the_floor(self):
        self.assertNotIn((0, "small, 10,000 connections", "floor"), self.steps(1, 1))


class Durations(unittest.TestCase):
    def minutes(self, scenarios, rounds, pair_rounds, window_s):
        return sum(duration_s(scenario, window_s) for _, scenario, _ in plan(scenarios, PROXIES, rounds, pair_rounds)) / 60

    def test_the_short_run_takes_less_than_five_minutes_and_the_whole_one_less_than_eighty(self):
        # Ten minutes of patience come on top of the whole one, ten seconds on top of the short one.
        self.assertLess(self.minutes(chosen("", True), 1, 1, 1.0), 4.8)
        self.assertLess(self.minutes(SCENARIOS, 5, 9, 3.0), 80)


class Rates(unittest.TestCase):
    def bench(self):
        samples = [Sample(PEAK, "gatekeeper", 0, requests_per_s=1000.0), Sample(PEAK, "gatekeeper", 1, requests_per_s=3000.0),
                   Sample(PEAK, "nginx", 0, requests_per_s=500.0)]
        return Bench(Path(), 1.0, Patience(0.0), samples=samples)

    def test_a_rate_is_a_share_of_the_median_peak(self):
        ours = next(proxy for proxy in PROXIES if proxy.name == "gatekeeper")
        self.assertEqual(self.bench().rate(ours, Steady(0.5, PEAK)), 1000.0)
        self.assertEqual(self.bench().rate(ours, Steady(0.5, PEAK, least=True)), 250.0)

    def test_without_a_peak_there_is_no_rate(self):
        haproxy = next(proxy for proxy in PROXIES if proxy.name == "haproxy")
        with self.assertRaises(RuntimeError):
            self.bench().rate(haproxy, Steady(0.5, PEAK))


class Csv(unittest.TestCase):
    def test_what_is_written_is_read_again(self):
        samples = [sample("nginx", 3, 1.25, errors=0, worker_cpu_us=None), Sample("b", "floor", 0, futexes=0.5)]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "samples.csv")
            write_csv(file, samples)
            self.assertEqual(read_csv(file), samples)


if __name__ == "__main__":
    unittest.main()
