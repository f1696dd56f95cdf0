"""Tests of who takes part, of rounds, of options and of files. Nothing is started and nothing is waited for."""

import io
import json
import os
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

import answers
import apps
import holder
import options
import results
import roster
import run
import segments
from environment import Interpreter
from roster import Need
from scenarios import ALL, BY_NAME
from scenarios.base import Choice, base_name
from scenarios.idle import Holders, how_many
from servers import Unusable


def interpreter(packages, suffix=""):
    return Interpreter("/v/bin/python", packages, "/v", "3.11", suffix)


def a_run(words=(), interpreters=None, built=None):
    given = options.arguments(["--handwound", "/nowhere/handwound", *words])
    made = run.Run(given, interpreters or [interpreter({})], "/tmp", run.Progress(1, tell=lambda text: None))
    made.built = built or {"floor": ValueError("no C compiler, or no epoll")}
    return made


class Who(unittest.TestCase):
    def test_only_what_is_installed_is_tried_and_the_rest_is_named(self):
        words = ["--add", "mine='/my server' {port}"]
        made = a_run(words, [interpreter({"twisted": "1"})], {"floor": "/tmp dir/floor"})
        tried, missing = made.servers(Need(), Choice(variants="all"))
        self.assertEqual([one.name for one in tried], ["twistd", "twisted", "mine", "floor"])
        self.assertEqual(tried[0].command[0], "/v/bin/twistd")
        self.assertEqual(tried[2].command, ["/my server", "{port}"])
        self.assertEqual(tried[3].command, ["/tmp dir/floor", "{port}"])
        self.assertIn("cargo build --release", missing["handwound"])
        self.assertIn("gunicorn is not installed", missing["gunicorn"])

    def test_the_floor_serves_nothing_but_its_fixed_answer(self):
        floor = a_run(built={"floor": "/floor"}).servers(Need(), Choice())[0][0]
        self.assertTrue(floor.serves("/hello"))
        self.assertFalse(floor.serves("/echo"))

    def test_a_second_python_has_peers_of_its_own_and_tells_nothing_of_others(self):
        made = a_run(interpreters=[interpreter({}), interpreter({"weft-server": "1"}, "-313")])
        tried, missing = made.servers(Need(), Choice(variants="all"))
        self.assertEqual([one.name for one in tried], ["weft-313", "weft-inline-313"])
        self.assertNotIn("granian-313", missing)

    def test_only_and_skip_choose_by_name(self):
        made = a_run(["--only", "granian,bjoern", "--skip", "bjoern"], [interpreter({"granian": "1", "bjoern": "1"})])
        tried, missing = made.servers(Need(), Choice())
        self.assertEqual(([one.name for one in tried], missing), (["granian"], {}))

    def test_variants_are_there_only_where_they_are_wanted(self):
        variant = roster.Peer("weft-inline-313", "weft-server", "", of="weft-313")
        self.assertFalse(Choice().wants(variant))
        self.assertTrue(Choice(variants=("weft-inline",)).wants(variant))
        self.assertTrue(Choice(variants="all").wants(variant))
        self.assertEqual([base_name(name) for name in ("weft-313", "handwound-32t", "granian")],
                         ["weft", "handwound-32t", "granian"])

    def test_what_a_server_cannot_do_is_said(self):
        peers = {peer.name: peer for peer in roster.PEERS}
        words = {**interpreter({}).words(), "cert": "c", "key": "k"}
        for name, need, why in (
            ("bjoern", Need(workers=2), "one process"), ("waitress", Need(tls=True), "no TLS"),
            ("uwsgi", Need(idle=True), "closes after each answer"),
        ):
            with self.assertRaisesRegex(ValueError, why):
                roster.fill(peers[name], need, words)

    def test_every_command_can_be_filled_in_for_whatever_it_can_do(self):
        words = {**interpreter({}).words(), "cert": "c.pem", "key": "k.pem", "here": "/h", "handwound": "/b/handwound",
                 "floor": "f", "hyper": "h", "example": "e"}
        for peer in [*roster.handwound_peers(32), *roster.PEERS, *roster.RUST, roster.FLOOR]:
            needs = [{}, {"threads": 32}, {"workers": 2}, {"tls": True}, {"idle": True}, {"module": "stamped"}]
            for need in [Need(**one) for one in needs]:
                try:
                    command = roster.fill(peer, need, words)
                except ValueError:
                    continue
                self.assertTrue(any("{port}" in part for part in command), command)
                self.assertEqual(need.tls, any("c.pem" in part for part in command), command)

    def test_handwound_is_there_with_several_numbers_of_threads(self):
        words = {**interpreter({}).words(), "here": "/h", "handwound": "/b/handwound"}
        threads = {}
        for peer in roster.handwound_peers(32):
            command = roster.fill(peer, Need(), words)
            threads[peer.name] = command[command.index("--threads") + 1] if "--threads" in command else None
        wanted = {"handwound": "4..4", "handwound-32t": "32..32", "handwound-default": None, "handwound-inline": "0"}
        self.assertEqual(threads, wanted)


class Rounds(unittest.TestCase):
    def go(self, one, names=("a", "b"), rounds=2, admit=lambda server: None):
        made = a_run(["--rounds", str(rounds)])
        servers = [SimpleNamespace(name=name) for name in names]
        with mock.patch("run.say"):
            return made.rounds(servers, ["/seed"], admit, one, 1, "test")["/seed"]

    def test_rounds_are_interleaved(self):
        order = []
        self.go(lambda server: order.append(server.name) or {"/seed": {"rps": 1}})
        self.assertEqual(order, ["a", "b", "a", "b"])

    def test_who_fails_is_noted_and_the_others_go_on(self):
        def one(server):
            if server.name == "a":
                raise ValueError("no report from wrk")
            return {"/seed": {"rps": 1}}

        table = self.go(one)
        self.assertEqual(len(table["b"]["rounds"]), 2)
        self.assertEqual(table["a"], {"rounds": [], "notes": ["stopped in round 1: no report from wrk"]})

    def test_who_is_not_admitted_has_a_note_and_no_round(self):
        def admit(server):
            if server.name == "a":
                raise Unusable("answers /seed with 500")

        table = self.go(lambda server: {"/seed": {"rps": 1}}, admit=admit)
        self.assertEqual(table["a"], {"rounds": [], "notes": ["disqualified: answers /seed with 500"]})


class Time(unittest.TestCase):
    def test_what_is_left_goes_by_how_long_the_rest_has_taken(self):
        now, told = [0.0], []
        progress = run.Progress(100, told.append, lambda: now[0])
        self.assertEqual(progress.left_seconds(), 100)
        now[0] = 50
        progress.step(25, "a quarter")
        self.assertEqual(told, ["[ 25%, 2 min 30 s left] a quarter"])
        progress.settle(100)
        self.assertEqual(progress.left_seconds(), 0)

    def test_durations(self):
        self.assertEqual([run.duration(one) for one in (5.4, 65, 3720)], ["5 s", "1 min 05 s", "1 h 02 min"])

    def test_the_plan_knows_every_scenario(self):
        given = options.arguments(["all"])
        for one in ALL:
            self.assertGreater(one.planned_seconds(given, 3), 0, one.name)


class Options(unittest.TestCase):
    def chosen(self, *words):
        return [one.name for one in options.chosen(options.arguments(list(words)))]

    def test_without_a_name_the_paths_are_measured(self):
        self.assertEqual(sorted(self.chosen()), ["big", "block", "echo", "flask", "hello", "seed", "stream"])
        self.assertEqual(self.chosen("--paths", "/block,/seed"), ["seed", "block"])

    def test_names_in_any_form(self):
        self.assertEqual(self.chosen("idle", "--scenario", "seed,tls"), ["seed", "idle", "tls"])
        self.assertEqual(self.chosen("all"), list(BY_NAME))

    def test_what_is_wrong_is_said_with_what_there_is(self):
        def wrong(*words):
            return options.problem(options.parser().parse_args(words))

        self.assertIn("there are seed,", wrong("sead"))
        self.assertIn("there are /seed,", wrong("--paths", "/sead"))
        self.assertIn("{port}", wrong("--add", "mine=server"))
        self.assertIn("--json", wrong("--draw"))
        self.assertIn("at least 1", wrong("--rounds", "0"))
        self.assertIsNone(wrong("all", "--resume", "--json", "x"))

    def test_the_list_has_every_scenario_with_its_title(self):
        for one in ALL:
            self.assertIn(one.title, options.listing())
        self.assertEqual(len(BY_NAME), len(ALL), "two scenarios of one name")


class Files(unittest.TestCase):
    def test_a_scenario_replaces_itself_and_leaves_the_others(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a", "results.json")
            found = results.merge(results.read(path), "seed", {"tables": {}}, {"date": "then"})
            results.merge(found, "one", {"tables": {}}, {"date": "then"})
            results.write(path, found)
            results.merge(found, "seed", {"tables": {}}, {"date": "now"})
            results.write(path, found)
            dates = {name: one["about"]["date"] for name, one in results.read(path)["scenarios"].items()}
            self.assertEqual(dates, {"seed": "now", "one": "then"})
            self.assertEqual(os.listdir(os.path.dirname(path)), ["results.json"])

    def test_another_file_is_not_overwritten(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "results.json")
            with open(path, "w") as file:
                json.dump({"paths": {}}, file)
            with self.assertRaisesRegex(ValueError, "move it away"):
                results.read(path)


class Requests(unittest.TestCase):
    def ask(self, path, body=b""):
        heads = []
        environ = {"PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        answer = b"".join(apps.app(environ, lambda *head: heads.append(head)))
        lengths = [int(value) for name, value in heads[0][1] if name == "Content-Length"]
        self.assertIn(lengths, ([], [len(answer)]))
        return answer

    def test_the_applications_answer_what_is_expected_of_them(self):
        for path in ("/seed", "/hello", "/echo", "/big", "/stream", "/length/4096", "/bytes/1024", "/pieces/16"):
            method, sent, wanted = answers.expected(path)
            self.assertEqual(self.ask(path, sent or b""), wanted, path)

    def test_a_body_is_cut_into_segments_and_stays_whole(self):
        for count in (1, 4, 1024):
            cut = segments.cut(count)
            body = b"".join(cut).partition(b"\r\n\r\n")[2]
            self.assertEqual((len(cut), len(body)), (count, segments.BODY_BYTES))
        self.assertTrue(segments.is_answer(b"HTTP/1.1 200 OK\r\n\r\n65536"))
        self.assertFalse(segments.is_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))


class IdleOnes(unittest.TestCase):
    def test_no_more_are_opened_than_descriptors_allow(self):
        self.assertEqual([how_many(50_000, limit) for limit in (1024, 1_000_000)], [524, 50_000])

    def test_holders_have_addresses_of_their_own(self):
        sources = [holder.source(number, count) for number in range(100) for count in (0, 20_000, 79_999)]
        self.assertEqual(len(set(sources)), len(sources))
        for one in sources:
            self.assertTrue(all(0 <= int(part) <= 255 for part in one.split(".")), one)

    def test_more_holders_are_started_when_one_is_full(self):
        told = []
        holders = Holders(1, 10)
        holders.tell = lambda process, line: told.append((process, line)) or 10

        class Started(list):
            def append(self, process):
                super().append(len(self))

        holders.processes = Started()
        with mock.patch("scenarios.idle.subprocess.Popen"):
            holders.more("use", 25)
        self.assertEqual(told[:3], [(0, "use 10"), (1, "use 10"), (2, "use 5")])


if __name__ == "__main__":
    unittest.main()
