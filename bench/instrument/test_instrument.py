"""What the instrument makes of other programs' words. Run by `make bench-test`."""

import unittest

from . import measure, report
from .processes import stat_cpu_s

WRK = """Running 6s test @ http://127.0.0.1:18711/bench
  1 threads and 10000 connections
  Latency Distribution
     50%  633.97us
     75%  695.61ms
     99%    3.82s 
  50698 requests in 6.13s, 5.51MB read
  Socket errors: connect 1, read 480, write 0, timeout 2
  Non-2xx or 3xx responses: 17
"""


def sample(proxy, round_number, cpu_us):
    return measure.Sample(
        scenario="64", proxy=proxy, round=round_number, requests_per_s=1.0, cpu_us=cpu_us, worker_cpu_us=None,
        busy=1.0, p50_ms=1.0, p99_ms=1.0, errors=0, peak_rss_mib=1.0, descriptors=1,
        foreign_cores=0.0)


class WrkOutput(unittest.TestCase):
    def test_latencies_are_milliseconds_whatever_their_unit(self):
        self.assertAlmostEqual(measure.percentile_ms(WRK, "50%"), 0.63397)
        self.assertAlmostEqual(measure.percentile_ms(WRK, "99%"), 3820.0)

    def test_every_kind_of_error_counts(self):
        self.assertEqual(measure.errors(WRK), 500)


class Ratios(unittest.TestCase):
    def test_a_ratio_is_the_median_of_those_within_each_round(self):
        # The machine is twice as slow in the second round; a ratio of medians would not be 2.
        group = [sample("floor", 0, 10.0), sample("floor", 1, 20.0), sample("floor", 2, 10.0),
                 sample("gatekeeper", 0, 20.0), sample("gatekeeper", 1, 40.0)]
        own = [one for one in group if one.proxy == "gatekeeper"]
        self.assertEqual(report.ratio(own, group, lambda costs: costs.get("floor")), "2.00")

    def test_the_cheaper_peer_is_chosen_in_each_round(self):
        self.assertEqual(report.cheaper_peer({"nginx": 15.0, "haproxy": 13.0, "floor": 7.0}), 13.0)
        self.assertIsNone(report.cheaper_peer({"floor": 7.0}))


class Proc(unittest.TestCase):
    def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields(self):
        stat = "7 (a) (b c) S 1 1 1 0 -1 0 0 0 0 0 150 50 9 9 20 0 1 0 5"
        self.assertAlmostEqual(stat_cpu_s(stat), 2.0)
        self.assertEqual(stat_cpu_s(""), 0.0)


if __name__ == "__main__":
    unittest.main()
