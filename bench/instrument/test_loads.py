"""What the instrument makes of other programs' words. Run by `make bench-test`."""

import unittest

from . import ages, counts, processes
from .loads import Messages, Steady, Wrk

WRK = """Running 6s test @ http://127.0.0.1:18711/bench
  1 threads and 10000 connections
  50698 requests in 6.13s, 5.51MB read
figures p50_us 633 p99_us 3820000 p999_us 4100000 errors 500
"""
STEADY = '{"requests": 1000, "errors": 2, "per_s": 500.0, "p50_us": 80, "p90_us": 90, "p99_us": 1500, "p999_us": 2500, ' \
         '"max_us": 9000, "late_p99_us": 3}'
CALLS = """
 Summary of events:

 gatekeeper (27910), 128 events, 3.1%

   syscall            calls  errors  total       min       avg       max       stddev
                                     (msec)    (msec)    (msec)    (msec)        (%)
   --------------- --------  ------ -------- --------- --------- ---------     ------
   epoll_wait            47      0   817.244     0.000    17.388    51.363     15.71%
   write                 17      0     0.244     0.012     0.014     0.024      6.01%

 gk-worker-0 (27913), 3948 events, 96.9%

   io_uring_enter      1974      0   662.212     0.000     0.335    29.928      6.44%
   write                  3      0     0.244     0.012     0.014     0.024      6.01%
"""


class Loads(unittest.TestCase):
    def test_wrk_tells_its_figures_in_one_line(self):
        figures = Wrk(64).figures(WRK)
        self.assertEqual((figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.errors), (0.633, 3820.0, 4100.0, 500))

    def test_wrk_knows_no_percentile_of_pipelined_answers(self):
        figures = Wrk(64).figures("figures p50_us 39 p99_us 0 p999_us 0 errors 0")
        self.assertEqual((figures.p50_ms, figures.p99_ms, figures.p999_ms), (0.039, None, None))

    def test_a_load_that_says_nothing_has_no_figures(self):
        for load in (Wrk(64), Messages(64), Steady(0.5, "")):
            self.assertIsNone(load.figures("unable to connect"))

    def test_messages_tell_exchanges_and_errors(self):
        figures = Messages(64).figures("exchanges 900 errors 1 p50_ms 0.5 p99_ms 1.250\n")
        self.assertEqual((figures.requests, figures.errors, figures.p50_ms, figures.p99_ms), (900, 1, 0.5, 1.25))

    def test_the_open_loop_tells_microseconds(self):
        figures = Steady(0.5, "").figures(STEADY)
        self.assertEqual((figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.errors), (0.08, 1.5, 2.5, 2))

    def test_arguments_of_the_script_follow_a_double_dash(self):
        command = Wrk(4, script=("upload=16",)).command(1, 2.4)
        self.assertEqual(command[-2:], ["--", "upload=16"])
        self.assertIn("2s", command)


class Calls(unittest.TestCase):
    def test_calls_of_all_threads_are_added(self):
        self.assertEqual(counts.calls_in(CALLS), {"epoll_wait": 47, "write": 20, "io_uring_enter": 1974})


class Proc(unittest.TestCase):
    def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields(self):
        stat = "7 (a) (b c) S 1 1 1 0 -1 0 0 0 0 0 150 50 9 9 20 0 1 0 5"
        self.assertAlmostEqual(processes.stat_cpu_s(stat), 2.0)
        self.assertEqual(processes.stat_cpu_s(""), 0.0)


class Ages(unittest.TestCase):
    def setUp(self):
        self.today = ages.datetime.date(2026, 11, 28)

    def test_an_age_is_counted_from_the_release_of_the_version(self):
        self.assertEqual(ages.age("nginx", "nginx version: nginx/1.22.1", self.today), "released in October 2022, 4.1 years ago")
        self.assertEqual(ages.age("traefik", "Version: 3.7.15", self.today), "released in October 2026, 1 month ago")

    def test_what_a_distribution_appends_is_not_the_version(self):
        told = ages.age("haproxy", "HAProxy version 2.6.12-1+deb12u4 2026/10/17", self.today)
        self.assertIn("March 2023", told)

    def test_an_unknown_version_has_no_age(self):
        self.assertIn("not known", ages.age("nginx", "nginx/9.9.9", self.today))


if __name__ == "__main__":
    unittest.main()
