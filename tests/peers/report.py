"""Results as text, as Markdown and as an SVG chart. Pure: results in, strings out.

Results are what bench.py writes as JSON: `paths` maps a path to servers, a server to its `rounds` and `notes`;
a round has rps, p50_ms, p99_ms, cpu_us (CPU microseconds a request), memory_mib and errors.
"""

from xml.sax.saxutils import escape

from measure import paired_ratios, spread

# key, heading, number format, whether a ratio is shown
COLUMNS = [
    ("rps", "requests/s", "{:,.0f}", True),
    ("cpu_us", "CPU µs/request", "{:,.1f}", True),
    ("p50_ms", "p50 ms", "{:,.2f}", False),
    ("p99_ms", "p99 ms", "{:,.2f}", False),
    ("memory_mib", "memory MiB", "{:,.1f}", True),
]


def series(server, key):
    return [one[key] for one in server["rounds"]]


def cell(server, key, form):
    found = spread(series(server, key))
    if found is None:
        return "?"
    median, least, greatest = (form.format(value) for value in found)
    return f"{median} [{least}–{greatest}]"


def ratio(server, base, key):
    """peer/baseline, the median of the ratios of each round; empty without a baseline."""
    found = base and paired_ratios(series(server, key), series(base, key))
    return f"{found.median:.2f}" if found else ""


def remarks(server):
    """The notes, and what wrk complained about, summed over the rounds."""
    totals = {}
    for one in server["rounds"]:
        for complaint in filter(None, one["errors"].split(", ")):
            kind, count = complaint.rsplit(" ", 1)
            totals[kind] = totals.get(kind, 0) + int(count)
    return "; ".join(server["notes"] + [f"wrk: {kind} errors {count:,}" for kind, count in totals.items()])


def fastest_first(servers):
    """Names, by median requests/s; those without a round last."""

    def key(name):
        found = spread(series(servers[name], "rps"))
        return -found.median if found else 0

    return sorted(servers, key=key)


def rows(servers, baseline):
    """The heading and a row a server, as lists of texts."""
    heading = ["server"]
    for _, title, _, with_ratio in COLUMNS:
        heading += [title, "×"] if with_ratio else [title]
    result = [heading + ["notes"]]
    base = servers.get(baseline)
    for name in fastest_first(servers):
        row = [name]
        for key, _, form, with_ratio in COLUMNS:
            row.append(cell(servers[name], key, form) if servers[name]["rounds"] else "–")
            if with_ratio:
                row.append(ratio(servers[name], base, key))
        result.append(row + [remarks(servers[name])])
    return result


def text_table(servers, baseline):
    table = rows(servers, baseline)
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    lines = []
    for row in table:
        # Names and notes to the left, numbers to the right.
        cells = [row[0].ljust(widths[0])] + [text.rjust(width) for text, width in zip(row[1:-1], widths[1:-1])]
        lines.append("  ".join(cells + [row[-1]]).rstrip())
    return "\n".join(lines)


def markdown_table(servers, baseline):
    heading, *others = rows(servers, baseline)
    rule = ["---"] + ["---:"] * (len(heading) - 2) + ["---"]
    lines = [[text.replace("|", "\\|") for text in row] for row in [heading, rule] + others]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown(results):
    about, baseline = results["about"], results["baseline"]
    lines = ["# Peers, side by side", "", about_line(about), ""]
    lines += [f"× is server/{baseline}, the median of each round's ratio. Other cells: median [least–greatest]."]
    for path, servers in results["paths"].items():
        lines += ["", f"## {path}", "", markdown_table(servers, baseline)]
    if results["missing"]:
        lines += ["", "Left out:", ""] + [f"- {name}: {why}" for name, why in results["missing"].items()]
    return "\n".join(lines) + "\n"


def about_line(about):
    pinned = f"server on CPU {about['server_cpu']}, wrk on CPU {about['wrk_cpu']}" if about["pinned"] else "unpinned"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(about["versions"].items()))
    return (
        f"{about['date']}; {about['cpu']}, {about['system']}; Python {about['python']}; {about['rounds']} rounds of "
        f"{about['seconds']} s, {about['connections']} connections, {about['threads']} threads, {pinned}, load "
        f"at the start {about['load']}. {versions}."
    )


WIDTH, LABELS, GAP, BAR, STEP, NUMBERS = 1000, 110, 30, 14, 22, 75
PANELS = [
    ("rps", "requests/s (longer is better)", "{:,.0f}"),
    ("cpu_us", "CPU µs/request (shorter is better)", "{:,.1f}"),
]


def chart(results):
    """An SVG: for each path bars of requests/s and of CPU time; a line on each bar from the least to the greatest."""
    parts, y = [], 30
    panel_width = (WIDTH - LABELS - GAP) / 2
    for path, servers in results["paths"].items():
        names = [name for name in fastest_first(servers) if servers[name]["rounds"]]
        if not names:
            continue
        parts.append(label(8, y, path, "bold"))
        for at, (_, title, _) in enumerate(PANELS):
            parts.append(label(LABELS + at * (panel_width + GAP), y, title))
        y += 10
        for at, (key, _, form) in enumerate(PANELS):
            spreads = {name: spread(series(servers[name], key)) for name in names}
            greatest = max((found.greatest for found in spreads.values() if found), default=0)
            scale = (panel_width - NUMBERS) / greatest if greatest else 0
            x = LABELS + at * (panel_width + GAP)
            for row, name in enumerate(names):
                top = y + row * STEP
                if at == 0:
                    parts.append(label(8, top + BAR - 2, name))
                if spreads[name]:
                    fill = "#b5482f" if name == results["baseline"] else "#7d93a8"
                    parts += bar(x, top, spreads[name], scale, fill, form.format(spreads[name].median))
        y += len(names) * STEP + 34
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y}" fill="white"/>', *parts, "</svg>", ""])


def bar(x, top, found, scale, fill, number):
    middle = top + BAR / 2
    yield f'<rect x="{x:.1f}" y="{top}" width="{found.median * scale:.1f}" height="{BAR}" fill="{fill}"/>'
    ends = f'x1="{x + found.least * scale:.1f}" x2="{x + found.greatest * scale:.1f}"'
    yield f'<line {ends} y1="{middle}" y2="{middle}" stroke="#222"/>'
    yield label(x + found.greatest * scale + 5, top + BAR - 2, number)


def label(x, y, text, weight="normal"):
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{escape(text)}</text>'
