"""The page of the documentation about speed, and its pictures. Pure: results in, the text of files out."""

import os
import textwrap
from collections import namedtuple

import charts
import report
from measure import Spread, paired_ratios
from scenarios.base import base_name

# They run the application on the thread of their connections.
NO_POOL = ("bjoern", "freastal", "fastwsgi", "fastpysgi", "weft-inline", "m0serve-inline", "hyper", "handwound-inline",
           "handwound-rust-inline")
# What servers are compared by, and in which words. Level, if the rounds' ratios are not all on one side.
Metric = namedtuple("Metric", "key more_is_better")
METRICS = {"rps": "requests/s", "cpu_us": "CPU time", "p50_ms": "median latency", "mixed_rps": "requests/s",
           "bytes": "memory a connection", "memory_mib": "memory", "answer_ms": "time to the first answer",
           "installed_mib": "space"}

HEAD = """\
# How fast it is

<!-- Written by tests/peers/bench.py --report; edit that, not this. -->

handwound and the WSGI servers that people pick, on the same work, on one machine: what was measured, how to measure it
yourself, and where handwound is not first.
"""

HOW = """\
## How to repeat it

<!-- test: not run: it installs sixteen servers and measures for some hours -->
```sh
cargo build --release
python3 tests/peers/bench.py all --setup ~/peers --json peers.json --report performance.md
```

This makes a virtual environment with all servers, measures every scenario on this page, and writes the page and its
pictures anew. `bench.py --list` names the scenarios and `bench.py --help` what can be set; each can be measured for
itself:

<!-- test: not run: it measures -->
```sh
python3 tests/peers/bench.py seed,one --setup ~/peers --only handwound,granian,gunicorn --rounds 3 --seconds 2
python3 tests/peers/bench.py all --resume --setup ~/peers --json peers.json --report performance.md
```

How to read it:

- **Rounds are interleaved**: one of each server, then the next of each. × is server/baseline, the median of the ratios
  of each round, so that drift of the machine cancels out. Other cells are median [least–greatest].
- **CPU µs/request** is user and system time of the whole process tree. It is steadier than requests/s, which also tell
  how well server and wrk take turns. **Memory** is that of the tree, libraries counted once.
- **floor** is a loop of C with a fixed answer, which reads nothing but the end of a head: what is left is the kernel's.
- Every answer is checked before anything is measured; access logs are off.
- wrk sends the next request when the last is answered: its p99 at full load is a queue's length, not what a user sees.
- A name like `weft-313` says that this server ran on another Python, here 3.13, which is somewhat faster or slower by
  itself. handwound is compared with it only where that server runs on no other.
"""


def folder_of(path):
    """`performance.md` has its pictures in `performance`."""
    return os.path.splitext(path)[0]


def files(found, path):
    """{path: text} of the page and its pictures."""
    folder = folder_of(path)
    made, sections = {}, []
    for scenario, result in report.measured(found):
        pictures = {name: picture for name, picture in pictures_of(scenario, result)}
        made.update({os.path.join(folder, name): picture for name, picture in pictures.items()})
        sections.append(section(scenario, result, list(pictures), os.path.basename(folder)))
    made[path] = "\n".join([HEAD, glance(found), machine(found), HOW, *sections]).rstrip() + "\n"
    return made


def pictures_of(scenario, result):
    """[(file name, picture)]"""
    lines = charts.lines_of(scenario, result)
    if lines:
        return [(f"{scenario.name}.svg", lines)]
    bars = charts.bars_of(scenario, result)
    if len(bars) == 1:
        return [(f"{scenario.name}.svg", bars[0][1])]
    return [(f"{scenario.name}-{label.strip('/').replace(' ', '-')}.svg", picture) for label, picture in bars]


def section(scenario, result, pictures, folder):
    lines = [f"## {scenario.title}", "", wrapped(scenario.about), ""]
    lines += [*map(wrapped, verdicts(scenario, result)), ""]
    lines += [f"![{scenario.title}]({folder}/{name})\n" for name in pictures]
    lines += ["<details><summary>The numbers</summary>", "", report.settings_line(result), ""]
    for heading, table in report.tables_of(scenario, result):
        lines += [f"**{heading}**", ""] if heading else []
        lines += [report.markdown_table(table), ""]
    if result["missing"]:
        lines += ["Left out: " + "; ".join(report.left_out(result)) + ".", ""]
    return "\n".join([*lines, "</details>", ""])


def wrapped(text):
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def machine(found):
    """On what, and with which versions."""
    abouts = [result["about"] for _, result in report.measured(found)]
    if not abouts:
        return ""
    dates = sorted({one["date"] for one in abouts})
    last = abouts[-1]
    versions = {}
    for one in abouts:
        versions.update(one["versions"])
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    said = f"{last['cpu']}, {last['cpus']} CPUs, {last['system']}; Python {last['python']}; measured {when}. {named}."
    return f"## The machine\n\n{wrapped(said)}\n"


def judged(scenario):
    """By which metrics servers are compared: what a scenario is about, and CPU time where it is about requests/s."""
    found = [Metric(scenario.main, scenario.more_is_better)]
    return [*found, Metric("cpu_us", False)] if found[0].key == "rps" else found


def compared(metric, servers, baseline, names):
    """(the best of `names`, how many times as good the baseline is: a spread), or None."""
    names = [name for name in names if report.median(servers[name], metric.key) is not None]
    if baseline not in servers or not names:
        return None
    best = report.best_first({name: servers[name] for name in names}, metric.key, metric.more_is_better)[0]
    own, other = (report.series(servers[name], metric.key) for name in (baseline, best))
    ratios = paired_ratios(own, other) if metric.more_is_better else paired_ratios(other, own)
    return ratios and (best, ratios)


def others(servers, is_pooled=False):
    """Whom handwound is compared with: of a server on two Pythons, that on the same as handwound."""
    found = [name for name in servers if not charts.is_own(name) and name != "floor"]
    found = [name for name in found if base_name(name) == name or base_name(name) not in servers]
    return [name for name in found if not is_pooled or base_name(name) not in NO_POOL]


def verdicts(scenario, result):
    """A sentence for each table: who is first, and by how much."""
    if scenario.kind == "growth":
        return [growth_verdict(scenario, result)]
    if scenario.kind == "samples":
        return [sample_verdict(result)]
    found = []
    for label, servers in result["tables"].items():
        said = [verdict(metric, servers, result["baseline"]) for metric in judged(scenario)]
        if any(said):
            said = " ".join(filter(None, said))
            found.append(f"- {label}: {said}" if len(result["tables"]) > 1 else said)
    return found


def verdict(metric, servers, baseline):
    against = compared(metric, servers, baseline, others(servers))
    if not against:
        return None
    best, ratios = against
    if ratios.least > 1:
        return f"**{baseline} is first**: it {amount(metric, ratios)} of {best}, the next."
    if ratios.greatest >= 1:
        return f"**{baseline} and {best} are level**: it {amount(metric, ratios)} of {best}, now more, now less."
    said = [f"**{baseline} is not first**: it {amount(metric, ratios)} of {best}."]
    pooled = compared(metric, servers, baseline, others(servers, is_pooled=True))
    if pooled and pooled[0] != best:
        more = amount(metric, pooled[1])
        said.append(f"Of those with a pool of threads {pooled[0]} is best; {baseline} {more} of that.")
    variants = [name for name in servers if charts.is_own(name) and name != baseline]
    variant = compared(metric, servers, best, variants)
    if variant:
        said.append(f"{variant[0]} {amount(metric, inverse(variant[1]))} of {best}.")
    return " ".join(said)


def amount(metric, ratios):
    """How much the baseline has or needs of a metric, where `ratios` is how many times as good it is."""
    if metric.more_is_better:
        return f"has {spans(ratios)} times the {METRICS[metric.key]}"
    return f"needs {spans(inverse(ratios))} times the {METRICS[metric.key]}"


def inverse(ratios):
    return Spread(1 / ratios.median, 1 / ratios.greatest, 1 / ratios.least)


def spans(ratios):
    median, least, greatest = (f"{one:.2f}" if one >= 0.1 else f"{one:.3f}" for one in ratios)
    return f"{median} [{least}–{greatest}]" if least != greatest else median


def growth_verdict(scenario, result):
    labels = list(map(float, result["tables"]))
    first, last = next(iter(result["tables"])), list(result["tables"])[-1]
    values = [report.median(servers.get(result["baseline"], {"rounds": []}), "cpu_us")
              for servers in result["tables"].values()]
    if None in values:
        return ""
    if not scenario.pictures[0].is_log:
        much = f"{values[-1] / values[0]:.2f} times as much"
        return f"For {result['baseline']}, a request costs {much} beside {int(last):,} as beside {int(first):,}."
    exponent = report.exponent(labels, values)
    how = "in proportion" if 0.9 <= exponent <= 1.1 else "less than in proportion" if exponent < 0.9 else \
        "**more than in proportion**"
    twice = f"at the upper end, twice as many cost {2 ** exponent:.2f} times"
    return f"For {result['baseline']}, the cost grows {how}: {twice}."


def sample_verdict(result):
    servers = next(iter(result["tables"].values()))
    rounds = servers.get(result["baseline"], {"rounds": []})["rounds"]
    if len(rounds) < 4:
        return ""
    served = rounds[-1]["million"]
    quarter = next(one for one in rounds if one["million"] >= served / 4)
    grown = rounds[-1]["memory_mib"] - quarter["memory_mib"]
    memory = f"{rounds[-1]['memory_mib']:.1f} MiB after {served:.2f} million requests"
    return f"{result['baseline']} has {memory}, {grown:+.2f} MiB more than after a quarter of them."


def glance(found):
    """All scenarios in one table: who comes next to handwound, or before it."""
    lines = ["## At a glance", "", "How many times as good handwound is as the best of all others, and as the best of",
             "those that run applications on a pool of threads, as it does; below 1 the other is better.", "",
             "| scenario | by | of all | × | with a pool | × |", "| --- | --- | --- | ---: | --- | ---: |"]
    for scenario, result in report.measured(found):
        if scenario.kind != "rounds":
            continue
        for label, servers in result["tables"].items():
            title = scenario.title if len(result["tables"]) == 1 else f"{scenario.title}: {label}"
            for metric in judged(scenario):
                row, title = [title, METRICS[metric.key]], ""
                for is_pooled in (False, True):
                    against = compared(metric, servers, result["baseline"], others(servers, is_pooled))
                    row += [against[0], times(against[1])] if against else ["", ""]
                lines.append("| " + " | ".join(row) + " |")
    behind = not_first(found)
    if behind:
        lines += ["", "Where handwound is not first:", "", *behind]
    return "\n".join(lines) + "\n"


def not_first(found):
    """A line for each table in which another server is better in every round."""
    lines = []
    for scenario, result in report.measured(found):
        for label, servers in result["tables"].items() if scenario.kind == "rounds" else ():
            title = scenario.title if len(result["tables"]) == 1 else f"{scenario.title}, {label}"
            for metric in judged(scenario):
                against = compared(metric, servers, result["baseline"], others(servers))
                if against and against[1].greatest < 1:
                    lines.append(f"- {title}: {verdict(metric, servers, result['baseline']).partition(': ')[2]}")
    lines = [wrapped(line) for line in lines]
    return lines


def times(ratios):
    return f"**{spans(ratios)}**" if ratios.greatest < 1 else spans(ratios)
