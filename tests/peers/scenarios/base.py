"""What scenarios have in common. A result is a dict that JSON can hold; report.py knows no more than these:

`tables` maps a label to servers, a server to its `rounds` and `notes`; a round maps a metric to a number. `missing`
says who was left out and why, `baseline` to whom the ratios are, `settings` what was measured how.
"""

from collections import namedtuple

from roster import Need

# A column of a table: the metric, its heading, its number format, whether a ratio to the baseline stands beside it.
Column = namedtuple("Column", "key title form has_ratio", defaults=(False,))

RPS = Column("rps", "requests/s", "{:,.0f}", True)
CPU = Column("cpu_us", "CPU µs/request", "{:,.1f}", True)
P50 = Column("p50_ms", "p50 ms", "{:,.2f}")
P99 = Column("p99_ms", "p99 ms", "{:,.2f}")
MEMORY = Column("memory_mib", "memory MiB", "{:,.1f}", True)

# A picture: `bars` of a metric for each server, or `lines` over the labels of the tables. `more_is_better` sorts bars.
Bars = namedtuple("Bars", "key title form more_is_better label", defaults=(True, None))
Lines = namedtuple("Lines", "key title x_title is_log slope", defaults=(True, None))

RPS_BARS = Bars("rps", "requests/s (longer is better)", "{:,.0f}")
CPU_BARS = Bars("cpu_us", "CPU µs/request (shorter is better)", "{:,.1f}", False)


# Starting a server and checking its answers, about.
ADMISSION_SECONDS = 1


class Choice:
    """Which of the peers a scenario wants: of a group, with which of the variants, or only those named."""

    def __init__(self, group="wsgi", variants=(), only=None, floor=True):
        self.group, self.variants, self.only, self.floor = group, variants, only, floor

    def wants(self, peer):
        if peer.name == "floor":
            return self.floor
        if self.group == "rust":
            return True
        named = self.variants == "all" or peer.of is None or base_name(peer.name) in self.variants
        return named and self.wants_name(peer.name)

    def wants_name(self, name):
        return self.only is None or name in self.only or name == "floor" and self.floor


def base_name(name):
    """Without the version of a second Python, as in `weft-313`."""
    head, _, last = name.rpartition("-")
    return head if head and last.isdigit() and last.startswith("3") and len(last) > 1 else name


class Scenario:
    """One thing to measure. `run(run)` returns a result; everything else is for --list and for the report."""

    # `rounds`: a table a label. `growth`: the labels are numbers, and one table has them all. `samples`: rounds are
    # samples of one run.
    kind = "rounds"
    columns = [RPS, CPU, P50, P99, MEMORY]
    pictures = [RPS_BARS, CPU_BARS]
    # By what servers are sorted, and who is first.
    main, more_is_better = "rps", True
    choice = Choice()
    baseline = "handwound"
    pinned = True

    def __init__(self, name, title, about):
        self.name, self.title, self.about = name, title, about

    def need(self, given):
        return Need(threads=given.threads)

    def steps(self, given):
        """(seconds of one measurement, how many there are for each server)."""
        return given.seconds + 0.3, given.rounds

    def planned_seconds(self, given, servers):
        seconds, times = self.steps(given)
        admissions = times / given.rounds
        return servers * (seconds * times + (given.warm_up + ADMISSION_SECONDS) * admissions)

    def run(self, run):
        raise NotImplementedError

    def result(self, run, tables, missing, pinned=None):
        given = run.given
        names = {name for table in tables.values() for name, one in table.items() if one["rounds"]}
        wanted = given.baseline or self.baseline
        settings = {name: getattr(given, name) for name in ("rounds", "seconds", "connections", "threads")}
        settings["pinned"] = (self.pinned if pinned is None else pinned) and not given.unpinned
        baseline = wanted if wanted in names else next(iter(sorted(names)), wanted)
        return {"settings": settings, "baseline": baseline, "missing": missing, "tables": tables}
