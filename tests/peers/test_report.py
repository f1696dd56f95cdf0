"""Tests of tables, charts and the page."""

import unittest
import xml.etree.ElementTree as xml

import charts
import page
import report
from scenarios import BY_NAME
from scenarios.base import CPU, CPU_BARS, RPS, RPS_BARS, Bars, Lines

ABOUT = {
    "date": "2026-01-01", "cpu": "a CPU", "cpus": 2, "system": "Linux", "python": "3.11", "versions": {"peer": "1.0"},
    "load": 0.0,
}
SETTINGS = {"rounds": 2, "seconds": 1, "connections": 64, "threads": 4, "pinned": True}
SVG = "{http://www.w3.org/2000/svg}"


def rounds(*rates, **more):
    base = {"cpu_us": 5.0, "p50_ms": 1.0, "p99_ms": 2.0, "memory_mib": 10.0, "errors": ""}
    return {"rounds": [{**base, "rps": rate, **more} for rate in rates], "notes": []}


def costs(*values):
    return {"rounds": [{"cpu_us": value, "errors": ""} for value in values], "notes": []}


def result(tables, missing=None, baseline="handwound"):
    return {"about": ABOUT, "settings": SETTINGS, "baseline": baseline, "missing": missing or {}, "tables": tables}


def found(**scenarios):
    return {"form": 2, "scenarios": {name.replace("_", "-"): one for name, one in scenarios.items()}}


class Tables(unittest.TestCase):
    def rows(self, table, baseline="handwound"):
        return report.rows(table, baseline, [RPS, CPU])

    def test_best_first_with_ratios_to_the_baseline(self):
        table = {"slow": rounds(10, 30), "handwound": rounds(100, 300)}
        self.assertEqual(report.best_first(table), ["handwound", "slow"])
        self.assertEqual(report.best_first(table, "rps", False), ["slow", "handwound"])
        self.assertEqual(self.rows(table)[2][:3], ["slow", "20 [10–30]", "0.10"])

    def test_without_the_baseline_there_are_no_ratios(self):
        self.assertEqual(self.rows({"slow": rounds(10)})[1][:3], ["slow", "10", ""])

    def test_what_is_not_measurable_is_a_question_mark(self):
        self.assertEqual(self.rows({"handwound": rounds(10, cpu_us=None)})[1][3:5], ["?", ""])

    def test_a_disqualified_server_has_its_note_and_no_numbers_and_comes_last(self):
        table = {"wrong": {"rounds": [], "notes": ["disqualified: 500"]}, "handwound": rounds(10)}
        last = self.rows(table)[-1]
        self.assertEqual((last[0], last[1], last[-1]), ("wrong", "–", "disqualified: 500"))

    def test_complaints_of_wrk_are_summed(self):
        self.assertEqual(
            report.remarks(rounds(1, 2, errors="read 7, non-2xx 3")), "wrk: read errors 14; wrk: non-2xx errors 6"
        )

    def test_a_scenario_of_its_own_kind_says_how_it_was_measured(self):
        self.assertIn("2 rounds of 1 s, 64 connections, 4 threads, pinned; baseline", report.settings_line(result({})))
        own = dict(result({}), settings=dict(SETTINGS, how="Counted once"))
        self.assertTrue(report.settings_line(own).startswith("Counted once; baseline handwound"))

    def test_folders_of_this_machine_are_not_told(self):
        said = report.without_folders('does not answer /length/65536; File "/home/me/v3.11/lib/cli.py", line 4; a/b/c/d')
        self.assertEqual(said, 'does not answer /length/65536; File "…/cli.py", line 4; a/b/c/d')

    def test_growth_stands_in_one_table_with_how_the_cost_has_grown(self):
        tables = {"1024": {"handwound": costs(2)}, "4096": {"handwound": costs(3)}, "16384": {"handwound": costs(6)}}
        heading, row = report.growth_rows(tables, BY_NAME["growth-response"])
        self.assertEqual(heading[1:4], ["1 KiB", "4 KiB", "16 KiB"])
        self.assertEqual(row[1:5], ["2.0", "3.0", "6.0", "4-fold costs 2 times"])

    def test_an_exponent_of_one_is_growth_in_proportion(self):
        self.assertAlmostEqual(report.exponent([1, 10, 100], [5, 20, 200]), 1)
        self.assertIsNone(report.exponent([1, 10, 100], [5, None, 200]))

    def test_samples_tell_what_has_grown_since_a_quarter_of_the_run(self):
        samples = [{"million": number / 4, "memory_mib": 10.0 + number, "errors": ""} for number in range(1, 5)]
        row = report.sample_rows({"handwound": {"rounds": samples, "notes": []}})[1]
        self.assertEqual(row[1:5], ["1.00", "11.0", "11.0", "14.0"])

    def test_markdown_has_a_row_a_server_and_names_who_is_missing(self):
        text = report.markdown(found(seed=result(
            {"/seed": {"handwound": rounds(10), "a|b": rounds(5)}}, {"uwsgi": "not installed"}
        )))
        for wanted in ("| handwound | 10 | 1.00 |", "| a\\|b |", "- uwsgi (not installed)", "2 rounds of 1 s"):
            self.assertIn(wanted, text)


class Charts(unittest.TestCase):
    def draw(self, table, kinds=(RPS_BARS, CPU_BARS), baseline="handwound"):
        return xml.fromstring(charts.bars(table, list(kinds), "A title", baseline))

    def bars(self, drawing):
        return [float(one.get("width")) for one in drawing.findall(SVG + "rect")[1:]]

    def words(self, drawing):
        return "".join(drawing.itertext())

    def test_bars_are_proportional_and_sorted(self):
        fast, slow, *cpu = self.bars(self.draw({"handwound": rounds(50), "peer": rounds(100)}))
        self.assertAlmostEqual(fast, 2 * slow, delta=0.2)
        self.assertEqual(cpu[0], cpu[1])
        shorter, longer = self.bars(self.draw({"a": costs(8), "b": costs(2)}))
        self.assertAlmostEqual(longer, 4 * shorter, delta=0.2)

    def test_only_the_baseline_is_red(self):
        drawing = self.draw({"handwound": rounds(1), "handwound-32t": rounds(1), "peer": rounds(1), "floor": rounds(1)},
                            [RPS_BARS])
        fills = [one.get("fill") for one in drawing.findall(SVG + "rect")[1:]]
        self.assertEqual(sorted(fills), sorted([charts.OWN, charts.OWN_VARIANT, charts.OTHER, "url(#hatch)"]))

    def test_a_bar_that_would_be_too_long_is_cut_and_keeps_its_number(self):
        table = {"handwound": costs(5), "peer": costs(10), "slow": costs(5000)}
        drawing = self.draw(table, [CPU_BARS])
        shortest, middle, cut = self.bars(drawing)
        self.assertAlmostEqual(middle, 2 * shortest, delta=0.2)
        self.assertAlmostEqual(cut, charts.CUT_TIMES * shortest, delta=0.5)
        self.assertIn("5,000.0", self.words(drawing))

    def test_names_are_escaped(self):
        self.assertIn("<a&b>", self.words(self.draw({"<a&b>": rounds(1)})))

    def test_servers_without_a_round_and_numbers_without_a_value_are_left_out(self):
        drawing = self.draw({"wrong": {"rounds": [], "notes": []}, "handwound": rounds(7, cpu_us=None)})
        self.assertEqual(len(self.bars(drawing)), 1)
        self.assertNotIn("wrong", self.words(drawing))
        self.assertIsNone(charts.bars({"wrong": {"rounds": [], "notes": []}}, [RPS_BARS], "", "handwound"))

    def test_nothing_is_drawn_outside_the_picture(self):
        table = {f"a-name-of-a-server-{number}": rounds(10 ** number, 10 ** number * 1.5) for number in range(6)}
        drawing = self.draw(table)
        height = float(drawing.get("height"))
        for one in drawing.iter(SVG + "text"):
            self.assertTrue(0 <= float(one.get("y")) <= height, one.text)
        for one in drawing.findall(SVG + "rect"):
            self.assertLessEqual(float(one.get("x") or 0) + float(one.get("width")), charts.WIDTH)

    def test_a_line_a_server_through_its_points(self):
        kind = Lines("cpu_us", "µs", "bytes", True, True)
        points = {"handwound": [(1, 1), (10, 10), (100, 100)], "peer": [(1, 2), (10, 20)]}
        drawing = xml.fromstring(charts.lines(points, kind, "Growth", "handwound"))
        drawn = drawing.findall(SVG + "polyline")
        self.assertEqual([one.get("stroke") == charts.OWN for one in drawn], [False, True])
        xs, ys = zip(*(map(float, pair.split(",")) for pair in drawn[1].get("points").split()))
        # Proportional growth is straight on logarithmic axes.
        self.assertAlmostEqual((ys[1] - ys[0]) / (xs[1] - xs[0]), (ys[2] - ys[1]) / (xs[2] - xs[1]), delta=0.01)

    def test_linear_axes_begin_at_nothing(self):
        drawing = xml.fromstring(charts.lines({"handwound": [(0, 90), (100, 100)]},
                                              Lines("memory_mib", "MiB", "requests", False), "Memory", "handwound"))
        self.assertIn("0", [one.text for one in drawing.iter(SVG + "text")])
        self.assertIsNone(charts.lines({"handwound": [(0, 1)]}, Lines("", "", "", False), "", "handwound"))

    def test_names_at_the_ends_of_lines_keep_apart(self):
        moved = charts.apart([100, 101, 102, 409], 15, 410)
        self.assertTrue(all(after - before >= 15 for before, after in zip(moved, moved[1:])), moved)
        self.assertLessEqual(moved[-1], 410)

    def test_all_bars_come_below_each_other(self):
        one = result({"/seed": {"handwound": rounds(1)}})
        drawing = xml.fromstring(report.all_bars(found(seed=one, hello=one)))
        self.assertEqual(len(drawing.findall(SVG + "svg")), 2)


class Verdicts(unittest.TestCase):
    def verdict(self, table, name="seed"):
        return page.verdict(page.judged(BY_NAME[name])[0], table, "handwound")

    def test_first_only_if_every_round_says_so(self):
        self.assertIn("is first**: it has 2.00 times the requests/s of peer",
                      self.verdict({"handwound": rounds(20, 20), "peer": rounds(10, 10)}))
        self.assertIn("are level**", self.verdict({"handwound": rounds(20, 10), "peer": rounds(10, 20)}))
        self.assertIn("not first**: it has 0.50 times the requests/s of peer",
                      self.verdict({"handwound": rounds(10, 10), "peer": rounds(20, 20)}))

    def test_where_less_is_better_less_is_first(self):
        table = {"handwound": rounds(1, 1, p50_ms=1), "peer": rounds(1, 1, p50_ms=4)}
        self.assertIn("is first**: it needs 0.25 times the median latency of peer", self.verdict(table, "one"))

    def test_the_floor_and_our_own_variants_are_no_others(self):
        table = {"handwound": rounds(10, 10), "handwound-inline": rounds(30, 30), "floor": rounds(90, 90)}
        self.assertIsNone(self.verdict(table))
        said = self.verdict(dict(table, peer=rounds(20, 20)))
        self.assertIn("it has 0.50 times the requests/s of peer", said)
        self.assertIn("handwound-inline has 1.50 times the requests/s of peer", said)

    def test_a_server_on_another_python_counts_only_if_it_is_on_no_other(self):
        table = {"freastal": rounds(1), "freastal-313": rounds(9), "weft-313": rounds(5), "handwound-32t": rounds(7)}
        self.assertEqual(page.others(table), ["freastal", "weft-313"])

    def test_who_has_no_pool_is_set_against_those_that_have(self):
        said = self.verdict({"handwound": rounds(10, 10), "freastal": rounds(20, 20), "weft-313": rounds(5, 5)})
        self.assertIn("with a pool of threads weft-313 is best; handwound has 2.00 times the requests/s of that", said)


class Page(unittest.TestCase):
    FOUND = found(
        seed=result({"/seed": {"handwound": rounds(10), "peer": rounds(5)}}),
        tls=result({"/seed": {"handwound": rounds(10)}, "/big": {"handwound": rounds(1)}}),
        growth_request=result({label: {"handwound": costs(int(label))} for label in ("1", "10", "100")}),
        soak=result({"memory": {"handwound": {"notes": [], "rounds": [
            {"million": number, "memory_mib": 10.0, "errors": ""} for number in range(1, 9)]}}}),
    )

    def test_pictures_lie_in_a_folder_of_the_pages_name_and_are_all_shown(self):
        made = page.files(self.FOUND, "docs/performance.md")
        text = made.pop("docs/performance.md")
        names = ["growth-request", "seed", "soak", "tls-big", "tls-seed"]
        self.assertEqual(sorted(made), [f"docs/performance/{name}.svg" for name in names])
        for name in names:
            self.assertIn(f"](performance/{name}.svg)", text)
        for picture in made.values():
            xml.fromstring(picture)

    def test_every_block_says_why_it_is_not_run(self):
        lines = page.files(self.FOUND, "p.md")["p.md"].splitlines()
        fences = [at for at, line in enumerate(lines) if line.startswith("```sh")]
        self.assertTrue(fences)
        for at in fences:
            self.assertTrue(lines[at - 1].startswith("<!-- test: not run: "), lines[at - 1])

    def test_words_about_growth_and_memory(self):
        text = page.files(self.FOUND, "p.md")["p.md"]
        self.assertIn("the cost grows in proportion", text)
        self.assertIn("+0.00 MiB more than after a quarter", text)

    def test_where_handwound_is_not_first_is_said_at_the_top(self):
        said = page.not_first(found(seed=result({"/seed": {"handwound": rounds(1, 1), "freastal": rounds(2, 2)}})))
        self.assertEqual(said, ["- The tutorial's application: it has 0.50 times the requests/s of freastal."])
        self.assertEqual(page.not_first(self.FOUND), [])

    def test_an_empty_file_makes_a_page_too(self):
        self.assertIn("How to repeat it", page.files(found(), "p.md")["p.md"])

    def test_every_metric_that_decides_has_a_name(self):
        for one in BY_NAME.values():
            self.assertIn(one.main, page.METRICS, one.name)
            self.assertTrue(all(isinstance(kind, (Bars, Lines)) for kind in one.pictures))


if __name__ == "__main__":
    unittest.main()
