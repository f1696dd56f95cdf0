"""Tests of what is measured: wrk's report, CPU time, memory."""

import os
import unittest

import measure

WRK = """\
Running 2s test @ http://127.0.0.1:18999/seed
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.10ms    2.82ms  21.28ms   87.56%
    Req/Sec     1.47k   526.76     2.15k    50.00%
  Latency Distribution
     50%  500.00us
     75%    4.31ms
     90%    6.76ms
     99%    1.25s
  2928 requests in 2.00s, 1.45MB read
Requests/sec:   1460.39
Transfer/sec:    741.69KB
"""
TROUBLE = """\
  Socket errors: connect 0, read 7, write 0, timeout 12
  Non-2xx or 3xx responses: 30
"""


class Wrk(unittest.TestCase):
    def test_a_report_without_trouble(self):
        wanted = {"requests": 2928, "rps": 1460.39, "p50_ms": 0.5, "p99_ms": 1250.0, "errors": ""}
        self.assertEqual(measure.parse_wrk(WRK), wanted)

    def test_socket_errors_and_refusals_are_named_without_the_zeros(self):
        self.assertEqual(measure.parse_wrk(WRK + TROUBLE)["errors"], "read 7, timeout 12, non-2xx 30")

    def test_no_connection_is_no_report(self):
        with self.assertRaisesRegex(ValueError, "Connection refused"):
            measure.parse_wrk("unable to connect to 127.0.0.1:1 Connection refused\n")

    def test_units(self):
        for text, wanted in (("1.50us", 0.0015), ("2.00ms", 2.0), ("1.02s", 1020.0), ("1.00m", 60_000.0)):
            self.assertAlmostEqual(measure.in_ms(text), wanted)


class Numbers(unittest.TestCase):
    def test_median_least_greatest(self):
        self.assertEqual(measure.spread([5, 1, 3]), (3, 1, 5))
        self.assertEqual(measure.spread([1, 2]), (1.5, 1, 2))

    def test_nothing_measurable_is_none(self):
        self.assertIsNone(measure.spread([]))
        self.assertIsNone(measure.spread([None, None]))
        self.assertEqual(measure.spread([None, 4]), (4, 4, 4))

    def test_ratios_are_of_each_round_so_drift_cancels(self):
        # Both halve from round to round: the ratio stays.
        self.assertEqual(measure.paired_ratios([20, 10, 5], [40, 20, 10]), (0.5, 0.5, 0.5))

    def test_a_round_that_cannot_be_compared_is_left_out(self):
        self.assertEqual(measure.paired_ratios([20, None, 5], [10, 20, 0]), (2, 2, 2))


class Clocks(unittest.TestCase):
    def cpu(self, ticks, ns, pids=(1,)):
        made = measure.Cpu.__new__(measure.Cpu)
        made.pids, made.ticks, made.ns = list(pids), ticks, ns
        return made

    def test_the_fine_clock_counts_when_both_agree(self):
        later, earlier = self.cpu(110, 1_003_000_000), self.cpu(100, 900_000_000)
        self.assertEqual(later.since(earlier), 103_000_000)

    def test_the_complete_clock_counts_when_a_thread_took_its_time_with_it(self):
        later, earlier = self.cpu(200, 500_000_000), self.cpu(100, 900_000_000)
        self.assertEqual(later.since(earlier), 100 * measure.NS_A_TICK)

    def test_no_process_no_number(self):
        self.assertIsNone(self.cpu(0, 0, ()).since(self.cpu(0, 0)))

    @unittest.skipUnless(os.path.exists("/proc/self/stat"), "needs /proc")
    def test_this_process_is_measurable(self):
        self.assertIn(os.getpid(), measure.tree(os.getpid()))
        self.assertGreater(measure.memory_mib(os.getpid()), 1)
        self.assertIsNotNone(measure.Cpu(os.getpid()).since(measure.Cpu(os.getpid())))


class Memory(unittest.TestCase):
    STATUS = "RssAnon:\t    9000 kB\nRssFile:\t    {} kB\nRssShmem:\t       5 kB\n"

    def test_shared_file_pages_count_once_and_the_trees_own_pages_add_up(self):
        rollup = "Rss: 20000 kB\nPss: 1 kB\nPss_Anon:   100 kB\nPss_File: 7 kB\nPss_Shmem:     2 kB\n"
        processes = [(rollup, self.STATUS.format(3000)), (rollup, self.STATUS.format(4000))]
        self.assertEqual(measure.memory_kib(processes), 100 + 2 + 100 + 2 + 4000)

    def test_resident_sizes_stand_in_for_proportional_ones(self):
        self.assertEqual(measure.memory_kib([("", self.STATUS.format(3000))]), 9000 + 5 + 3000)


class Descriptors(unittest.TestCase):
    def test_more_than_may_be_is_not_asked_for(self):
        self.assertGreater(measure.raisable_descriptors(), 0)


if __name__ == "__main__":
    unittest.main()
