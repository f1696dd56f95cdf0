"""Results as tables: text for the terminal, Markdown for pages. Pure: results in, strings out.

`servers` maps a server to its `rounds` and `notes`; a round maps a metric to a number, and has `errors` of wrk.
"""

import math
import re

import charts
from measure import paired_ratios, spread
from scenarios import ALL


def series(server, key):
    return [one.get(key) for one in server["rounds"]]


def median(server, key):
    found = spread(series(server, key))
    return found.median if found else None


def cell(server, key, form):
    found = spread(series(server, key))
    if found is None:
        return "?"
    middle, least, greatest = (form.format(value) for value in found)
    return f"{middle} [{least}–{greatest}]" if least != greatest else middle


def ratio(server, base, key):
    """peer/baseline, the median of the ratios of each round; empty without a baseline."""
    found = base and paired_ratios(series(server, key), series(base, key))
    return f"{found.median:.2f}" if found else ""


def remarks(server):
    """The notes, and what wrk complained about, summed over the rounds."""
    totals = {}
    for one in server["rounds"]:
        for complaint in filter(None, (one.get("errors") or "").split(", ")):
            kind, count = complaint.rsplit(" ", 1)
            totals[kind] = totals.get(kind, 0) + int(count)
    notes = [without_folders(note) for note in server["notes"]]
    return "; ".join(notes + [f"wrk: {kind} errors {count:,}" for kind, count in totals.items()])


def without_folders(text):
    """What logs say of this machine's folders is nobody's business elsewhere; file names stay."""
    return re.sub(r"(?<![\w.])(?:/[\w.+-]+){2,}/", "…/", text)


def left_out(result):
    return [f"{name} ({without_folders(why)})" for name, why in result["missing"].items()]


def best_first(servers, key="rps", more_is_better=True):
    """Names, by the median of a metric; those without one last."""

    def order(name):
        found = median(servers[name], key)
        return (found is None, found if found is None else -found if more_is_better else found)

    return sorted(servers, key=lambda name: (order(name)[0], order(name)[1] or 0, name))


def rows(servers, baseline, columns, key="rps", more_is_better=True):
    """The heading and a row a server, as lists of texts."""
    heading = ["server"]
    for column in columns:
        heading += [column.title, "×"] if column.has_ratio else [column.title]
    found = [heading + ["notes"]]
    base = servers.get(baseline)
    for name in best_first(servers, key, more_is_better):
        row = [name]
        for column in columns:
            row.append(cell(servers[name], column.key, column.form) if servers[name]["rounds"] else "–")
            if column.has_ratio:
                row.append(ratio(servers[name], base, column.key))
        found.append(row + [remarks(servers[name])])
    return found


def growth_rows(tables, scenario):
    """A row a server, a column a label, and how the cost grows with the label's number."""
    labels, column = list(tables), scenario.columns[0]
    names = best_first(tables[labels[-1]], column.key, False)
    is_bytes = charts.counts_bytes(scenario.pictures[0])
    found = [["server", *(charts.short(int(label), is_bytes) for label in labels), "growth", "notes"]]
    for name in names:
        values = [median(tables[label][name], column.key) for label in labels]
        texts = ["–" if value is None else column.form.format(value) for value in values]
        found.append([name, *texts, growth(list(map(int, labels)), values), remarks(tables[labels[0]][name])])
    return found


def growth(numbers, values):
    """How the cost of the last number compares with that of one in the middle, in proportion."""
    pairs = [(number, value) for number, value in zip(numbers, values) if value]
    if len(pairs) < 3:
        return "?"
    (first, low), (last, high) = pairs[len(pairs) // 2], pairs[-1]
    return f"{last / first:,.3g}-fold costs {high / low:,.3g} times" if first else "?"


def exponent(numbers, values):
    """1 for proportional growth at the end of a series, 0 for none; None without enough values."""
    pairs = [(number, value) for number, value in zip(numbers, values) if value and number]
    if len(pairs) < 3:
        return None
    (first, low), (last, high) = pairs[len(pairs) // 2], pairs[-1]
    return math.log(high / low) / math.log(last / first)


def sample_rows(servers):
    """Memory at the start of a long run, after a quarter of it, and at its end."""
    found = [["server", "million requests", "memory at first, MiB", "after a quarter", "at the end", "notes"]]
    for name in best_first(servers, "memory_mib", False):
        rounds = servers[name]["rounds"]
        if not rounds:
            found.append([name, "–", "–", "–", "–", remarks(servers[name])])
            continue
        served = rounds[-1]["million"]
        quarter = next(one for one in rounds if one["million"] >= served / 4)
        texts = [f"{one['memory_mib']:,.1f}" for one in (rounds[0], quarter, rounds[-1])]
        found.append([name, f"{served:,.2f}", *texts, remarks(servers[name])])
    return found


def tables_of(scenario, result):
    """(heading or None, rows) of each table of a result."""
    if scenario.kind == "growth":
        return [(None, growth_rows(result["tables"], scenario))]
    if scenario.kind == "samples":
        return [(None, sample_rows(servers)) for servers in result["tables"].values()]
    found = []
    for label, servers in result["tables"].items():
        heading = label if len(result["tables"]) > 1 else None
        made = rows(servers, result["baseline"], scenario.columns, scenario.main, scenario.more_is_better)
        found.append((heading, made))
    return found


def plain(table):
    """Names and notes to the left, numbers to the right."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0])] + [text.rjust(width) for text, width in zip(row[1:-1], widths[1:-1])]
        lines.append("  ".join(cells + [row[-1]]).rstrip())
    return "\n".join(lines)


def markdown_table(table):
    heading, *others = table
    rule = ["---"] + ["---:"] * (len(heading) - 2) + ["---"]
    lines = [[text.replace("|", "\\|") for text in row] for row in [heading, rule] + others]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def text(scenario, result):
    """One scenario for the terminal."""
    parts = [f"{scenario.name}: {scenario.title}   × is server/{result['baseline']}"]
    for heading, table in tables_of(scenario, result):
        parts += [heading] if heading else []
        parts.append(plain(table))
    return "\n".join(parts)


def measured(found):
    """(scenario, result) of all that a file has, in the report's order."""
    return [(one, found["scenarios"][one.name]) for one in ALL if one.name in found["scenarios"]]


def markdown(found):
    """All tables."""
    lines = ["# Peers, side by side", "", "× is server/baseline, the median of each round's ratio. Other cells: median"
             " [least–greatest]."]
    for scenario, result in measured(found):
        lines += ["", f"## {scenario.name}", "", scenario.about, "", settings_line(result), ""]
        for heading, table in tables_of(scenario, result):
            lines += [f"### {heading}", ""] if heading else []
            lines += [markdown_table(table), ""]
        if result["missing"]:
            lines += ["Left out:", ""] + [f"- {one}" for one in left_out(result)]
    return "\n".join(lines).rstrip() + "\n"


def settings_line(result):
    about = result["about"]
    how = result["settings"].get("how") or usual_settings(result["settings"])
    return f"{how}; baseline {result['baseline']}; {about['date']}, load at the start {about['load']}."


def usual_settings(settings):
    words = [f"{settings['rounds']} rounds of {settings['seconds']} s", f"{settings['connections']} connections"]
    words += [f"{settings['idle']:,} idle"] if "idle" in settings else []
    return ", ".join([*words, f"{settings['threads']} threads", "pinned" if settings["pinned"] else "unpinned"])


def all_bars(found):
    """The bars of all scenarios, as one picture."""
    drawn = [charts.bars_of(scenario, result) for scenario, result in measured(found)]
    return charts.stack([picture for pictures in drawn for _, picture in pictures])
