"""What is measured: wrk's report, CPU time and memory of a tree of processes. Never prints."""

import os
import re
import resource
import statistics
import subprocess
import sys
from collections import namedtuple

UNITS_IN_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
# For the scenario of idle connections; most servers and shells are happy with far fewer.
DESCRIPTORS_WANTED = 1 << 16
# A soft limit beyond this makes some programs close a billion descriptors that are not open.
DESCRIPTORS_MAX = 1 << 20
NS_A_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

# The median of some rounds, with the least and the greatest.
Spread = namedtuple("Spread", "median least greatest")


def spread(values):
    """None for no values at all; a value that is None (not measurable) is left out."""
    values = [value for value in values if value is not None]
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def paired_ratios(values, base):
    """The spread of value/base, round by round: slow drift of the machine cancels out."""
    pairs = zip(values, base)
    return spread([value / ground for value, ground in pairs if value is not None and ground])


def in_ms(text):
    """wrk's duration (`415.00us`, `1.02ms`, `2.00s`) in milliseconds."""
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS_IN_MS[unit]


def parse_wrk(report):
    """wrk's report as a dict: requests, rps, p50_ms, p99_ms, errors (a text, empty if there were none).

    Raises ValueError when the text is no such report, for instance because wrk could not connect.
    """
    total = re.search(r"(\d+) requests in ", report)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if not total or not rate:
        raise ValueError(f"no report from wrk: {report.strip()[:200]!r}")
    percentiles = dict(re.findall(r"^\s+(\d+)%\s+([\d.]+[a-z]+)\s*$", report, re.M))
    errors = []
    sockets = re.search(r"Socket errors: (.*)", report)
    if sockets:
        errors += [part for part in sockets.group(1).strip().split(", ") if not part.endswith(" 0")]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    if refused:
        errors.append(f"non-2xx {refused.group(1)}")
    return {
        "requests": int(total.group(1)),
        "rps": float(rate.group(1)),
        "p50_ms": in_ms(percentiles["50"]) if "50" in percentiles else None,
        "p99_ms": in_ms(percentiles["99"]) if "99" in percentiles else None,
        "errors": ", ".join(errors),
    }


def run_wrk(url, seconds, connections, cpu, script=None):
    """One run of wrk; `cpu` is the CPU it is pinned to, or None. Raises ValueError without a report."""
    return end_of_wrk(start_wrk(url, seconds, connections, cpu, script))


def start_wrk(url, seconds, connections, cpu, script=None, headers=()):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "8s"]
    command += ["-s", script] if script else []
    for header in headers:
        command += ["-H", header]
    return subprocess.Popen(
        command + [url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=prepared(cpu)
    )


def end_of_wrk(process):
    return parse_wrk(process.communicate()[0])


def prepared(cpu, many_descriptors=False):
    """For `preexec_fn`: binds the new process to a CPU, if one is given; lets it have as many descriptors as may be."""

    def prepare():
        if cpu is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {cpu})
        if many_descriptors:
            raise_descriptors()

    return prepare


def raise_descriptors(wanted=DESCRIPTORS_WANTED):
    """Raises the limit of open files as far as this user may. Returns what it is then."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, DESCRIPTORS_MAX), limit))
            break
        except (OSError, ValueError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raisable_descriptors():
    """How many open files a process may have once it has raised its limit; asked in a process of its own."""
    script = "import measure; print(measure.raise_descriptors())"
    done = subprocess.run([sys.executable, "-c", script], cwd=os.path.dirname(os.path.abspath(__file__)),
                          stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


def tree(pid):
    """The process and all its descendants; empty without /proc."""
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        try:
            threads = os.listdir(f"/proc/{one}/task")
        except OSError:
            found.pop()
            continue
        for thread in threads:
            left += map(int, (read(f"/proc/{one}/task/{thread}/children") or "").split())
    return found


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


class Cpu:
    """CPU time of a process tree at one moment, by two clocks.

    /proc/PID/stat counts threads and waited-for children that have ended, but in ticks of 10 ms;
    /proc/PID/task/*/schedstat counts in nanoseconds, but only what is alive.
    """

    def __init__(self, pid):
        self.pids = tree(pid)
        self.ticks = self.ns = 0
        for one in self.pids:
            stat = read(f"/proc/{one}/stat")
            # After the name, which may hold spaces and brackets: utime, stime, cutime, cstime.
            self.ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:15])) if stat else 0
            self.ns += sum(on_cpu_ns(one))

    def since(self, earlier):
        """CPU nanoseconds from `earlier` to now: the fine clock where both agree, or else the complete one.

        None where there is no /proc.
        """
        if not self.pids:
            return None
        coarse, fine = (self.ticks - earlier.ticks) * NS_A_TICK, self.ns - earlier.ns
        agree = abs(coarse - fine) <= 2 * NS_A_TICK * len(self.pids)
        return fine if agree else coarse


def on_cpu_ns(pid):
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        text = read(f"/proc/{pid}/task/{thread}/schedstat")
        if text:
            yield int(text.split()[0])


def anonymous_kib(pid):
    """Memory that the tree has for itself, in KiB: no files, nothing of the kernel's."""
    return sum(in_kib(read(f"/proc/{one}/status") or "", "RssAnon") or 0 for one in tree(pid))


def memory_mib(pid):
    """Memory of the tree in MiB, as if it were alone on the machine; None without /proc."""
    pids = tree(pid)
    smaps = [(read(f"/proc/{one}/smaps_rollup") or "", read(f"/proc/{one}/status") or "") for one in pids]
    return memory_kib(smaps) / 1024 if pids else None


def memory_kib(processes):
    """KiB from the texts (smaps_rollup, status) of each process.

    Anonymous and shmem pages are shared within a tree only, so their proportional sizes add up. File pages (libraries,
    the interpreter) are shared with other servers that happen to run too, so the proportional size would depend on
    the neighbours: they count once, as resident in the process that has the most of them.
    """
    own, files = 0, [0]
    for rollup, status in processes:
        for proportional, resident in (("Pss_Anon", "RssAnon"), ("Pss_Shmem", "RssShmem")):
            size = in_kib(rollup, proportional)
            own += in_kib(status, resident) or 0 if size is None else size
        files.append(in_kib(status, "RssFile") or 0)
    return own + max(files)


def in_kib(text, name):
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.M)
    return int(found.group(1)) if found else None
