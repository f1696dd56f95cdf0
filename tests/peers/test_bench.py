"""Tests of the bench's pure parts: python3 -m unittest discover -s tests/peers"""

import os
import unittest
import xml.etree.ElementTree as xml

import measure
import report
import servers

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


def rounds(*rates, **more):
    base = {"cpu_us": 5.0, "p50_ms": 1.0, "p99_ms": 2.0, "memory_mib": 10.0, "errors": ""}
    return {"rounds": [{**base, "rps": rate, **more} for rate in rates], "notes": []}


def results(table, missing=None):
    about = {
        "date": "2026-01-01", "cpu": "a CPU", "system": "Linux", "python": "3.11", "versions": {"peer": "1.0"},
        "pinned": True, "rounds": 2, "seconds": 1, "connections": 64, "threads": 4, "server_cpu": 0, "wrk_cpu": 1,
        "load": 0.0,
    }
    return {"about": about, "baseline": "handwound", "missing": missing or {}, "paths": {"/seed": table}}


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


class Tables(unittest.TestCase):
    def test_fastest_first_with_ratios_to_the_baseline(self):
        table = {"slow": rounds(10, 30), "handwound": rounds(100, 300)}
        self.assertEqual(report.fastest_first(table), ["handwound", "slow"])
        self.assertEqual(report.rows(table, "handwound")[2][:3], ["slow", "20 [10–30]", "0.10"])

    def test_without_the_baseline_there_are_no_ratios(self):
        self.assertEqual(report.rows({"slow": rounds(10)}, "handwound")[1][:3], ["slow", "10 [10–10]", ""])

    def test_what_is_not_measurable_is_a_question_mark(self):
        row = report.rows({"handwound": rounds(10, cpu_us=None)}, "handwound")[1]
        self.assertEqual(row[3:5], ["?", ""])

    def test_a_disqualified_server_has_its_note_and_no_numbers(self):
        table = {"handwound": rounds(10), "wrong": {"rounds": [], "notes": ["disqualified: 500"]}}
        last = report.rows(table, "handwound")[-1]
        self.assertEqual((last[0], last[1], last[-1]), ("wrong", "–", "disqualified: 500"))

    def test_complaints_of_wrk_are_summed(self):
        found = report.remarks(rounds(1, 2, errors="read 7, non-2xx 3"))
        self.assertEqual(found, "wrk: read errors 14; wrk: non-2xx errors 6")

    def test_markdown_has_a_row_a_server_and_names_who_is_missing(self):
        text = report.markdown(results({"handwound": rounds(10), "a|b": rounds(5)}, {"uwsgi": "not installed"}))
        for wanted in ("| handwound | 10 [10–10] | 1.00 |", "| a\\|b |", "- uwsgi: not installed", "server on CPU 0"):
            self.assertIn(wanted, text)


class Chart(unittest.TestCase):
    def draw(self, table):
        return xml.fromstring(report.chart(results(table)))

    def bars(self, drawing):
        found = drawing.findall("{http://www.w3.org/2000/svg}rect")[1:]
        return [float(one.get("width")) for one in found]

    def test_bars_are_proportional_and_the_fastest_comes_first(self):
        fast, slow, *cpu = self.bars(self.draw({"handwound": rounds(50), "peer": rounds(100)}))
        self.assertAlmostEqual(fast, 2 * slow, delta=0.2)
        self.assertEqual(cpu[0], cpu[1])

    def test_names_are_escaped(self):
        self.assertIn("<a&b>", "".join(self.draw({"<a&b>": rounds(1)}).itertext()))

    def test_servers_without_a_round_and_numbers_without_a_value_are_left_out(self):
        drawing = self.draw({"wrong": {"rounds": [], "notes": []}, "handwound": rounds(7, cpu_us=None)})
        self.assertEqual(len(self.bars(drawing)), 1)
        self.assertNotIn("wrong", "".join(drawing.itertext()))


class Commands(unittest.TestCase):
    def known(self, packages, added=(), floor=None):
        return servers.known("/v/bin/python", "/v", packages, "/nowhere/handwound", 4, added, floor)

    def test_only_what_is_installed_is_tried_and_the_rest_is_named(self):
        tried, missing = self.known({"twisted": "1"}, [("mine", "'/my server' {port}")], "/tmp dir/floor")
        self.assertEqual([one.name for one in tried], ["twistd", "twisted", "mine", "floor"])
        self.assertEqual(tried[0].command[0], "/v/bin/twistd")
        self.assertEqual(tried[2].command, ["/my server", "{port}"])
        self.assertEqual(tried[3].command, ["/tmp dir/floor", "{port}"])
        self.assertIn("cargo build --release", missing["handwound"])
        self.assertIn("gunicorn is not installed", missing["gunicorn"])

    def test_the_floor_serves_nothing_but_its_fixed_answer(self):
        floor = self.known({}, floor="/floor")[0][0]
        self.assertTrue(floor.serves("/hello"))
        self.assertFalse(floor.serves("/echo"))


if __name__ == "__main__":
    unittest.main()
