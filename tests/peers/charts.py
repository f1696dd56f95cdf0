"""Results as SVG: bars and lines. Pure: results in, strings out.

handwound is red, the floor is hatched and goes through the whole picture as a dashed line, all others are grey-blue. A
bar ends at the median, with a thin line from the least to the greatest round. A bar that would be too long is cut,
which two slanted strokes in it tell; its number is that of the whole.
"""

import math
from xml.sax.saxutils import escape

from measure import spread
from scenarios.base import Bars

WIDTH = 1000
OWN, OWN_VARIANT, OTHER, FLOOR, INK, FAINT = "#c2410c", "#f0a884", "#94a9bd", "#6b7280", "#1f2937", "#d8dee6"
PALETTE = ["#2563a8", "#3b8f5a", "#8a5aa8", "#b08a1e", "#4b9aa8", "#a8507a", "#6b7280", "#7a6a4f"]
TITLE_HEIGHT, BAR, STEP, LABELS, NUMBERS, GAP = 30, 13, 20, 150, 78, 26
# Bars longer than this times the shortest (of the servers, not the floor) are cut where shorter is better.
CUT_TIMES = 6


def is_own(name):
    return name.startswith("handwound")


def document(height, parts, title):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, -apple-system, \'Segoe UI\', \'DejaVu Sans\', sans-serif" font-size="12.5" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">'
    )
    hatch = (
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<path d="M0 0V6" stroke="{FLOOR}" stroke-width="2.5"/></pattern></defs>'
    )
    ground = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>'
    return "\n".join([head, hatch, ground, *parts, "</svg>", ""])


def text(x, y, words, **more):
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in {"fill": INK, **more}.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(words)}</text>'


def line(x1, y1, x2, y2, stroke, **more):
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{attributes}/>'


def spreads(servers, key):
    found = {name: spread([one.get(key) for one in server["rounds"]]) for name, server in servers.items()}
    return {name: one for name, one in found.items() if one}


def bars_of(scenario, result):
    """[(label, picture)]: one with all kinds of bars for each table; none for scenarios that are drawn as lines."""
    kinds = [one for one in scenario.pictures if isinstance(one, Bars)]
    if not kinds:
        return []
    found = []
    for label, servers in result["tables"].items():
        heading = scenario.title if len(result["tables"]) == 1 else f"{scenario.title}: {label}"
        picture = bars(servers, kinds, heading, result["baseline"])
        if picture:
            found.append((label, picture))
    return found


def bars(servers, kinds, heading, baseline):
    """Panels side by side, each sorted for itself; None if there is nothing to draw."""
    panels = [(kind, spreads(servers, kind.key)) for kind in kinds]
    panels = [(kind, found) for kind, found in panels if found]
    if not panels:
        return None
    width = (WIDTH - 16 - GAP * (len(panels) - 1)) / len(panels)
    parts = [text(16, 26, heading, font_size=16, font_weight=600)]
    for at, (kind, found) in enumerate(panels):
        parts += panel(8 + at * (width + GAP), 52, width, kind, found, baseline)
    height = 52 + 14 + max(len(found) for _, found in panels) * STEP + 12
    return document(height, parts, heading)


def cut_at(values, more_is_better):
    """Where bars are cut, or None: only where shorter is better, as there the best would be too short to see."""
    own = sorted(one.median for name, one in values.items() if name != "floor")
    if more_is_better or not own or own[-1] <= CUT_TIMES * own[0]:
        return None
    return CUT_TIMES * own[0]


def panel(left, top, width, kind, found, baseline):
    names = sorted(found, key=lambda name: -found[name].median if kind.more_is_better else found[name].median)
    limit = cut_at(found, kind.more_is_better)
    greatest = limit or max(one.greatest for one in found.values()) or 1
    x, scale = left + LABELS, (width - LABELS - NUMBERS) / greatest
    yield text(left + 8, top, kind.title, fill="#4b5563")
    y = top + 14
    if "floor" in found:
        at = x + min(found["floor"].median, greatest) * scale
        yield line(at, y - 4, at, y + len(names) * STEP, FLOOR, stroke_dasharray="3 3", stroke_width=1)
    for row, name in enumerate(names):
        yield from bar(x, y + row * STEP, name, found[name], scale, greatest, kind.form, name == baseline)


def bar(x, top, name, found, scale, greatest, form, is_baseline):
    is_cut = found.median > greatest
    length = min(found.median, greatest) * scale
    fill = "url(#hatch)" if name == "floor" else OWN if is_baseline else OWN_VARIANT if is_own(name) else OTHER
    weight = 600 if is_own(name) else 400
    yield text(x - 8, top + BAR - 2, name, text_anchor="end", font_weight=weight)
    yield f'<rect x="{x:.1f}" y="{top}" width="{max(length, 0.5):.1f}" height="{BAR}" rx="1.5" fill="{fill}"/>'
    end = length
    if is_cut:
        for at in (length - 22, length - 17):
            yield line(x + at, top + BAR + 1, x + at + 6, top - 1, "#ffffff", stroke_width=2)
    else:
        end = min(found.greatest, greatest) * scale
        middle = top + BAR / 2
        yield line(x + found.least * scale, middle, x + end, middle, INK, stroke_width=1)
    yield text(x + max(end, length) + 6, top + BAR - 2, form.format(found.median), font_weight=weight)


def stack(pictures):
    """Pictures below each other, as one."""
    parts, y = [], 0
    for picture in pictures:
        height = int(picture.split('height="', 1)[1].split('"', 1)[0])
        inner = picture.split(">", 1)[1].rsplit("</svg>", 1)[0]
        parts.append(f'<svg y="{y}" height="{height}" width="{WIDTH}">{inner}</svg>')
        y += height + 12
    return document(max(y, 1), parts, "Peers, side by side")


def lines_of(scenario, result):
    """The picture of a scenario that is drawn as lines, or None."""
    kind = scenario.pictures[0]
    if isinstance(kind, Bars):
        return None
    if scenario.kind == "samples":
        found = points_of_samples(result["tables"], kind.key)
    else:
        found = points_of_labels(result["tables"], kind.key)
    return lines(found, kind, scenario.title, result["baseline"])


def points_of_samples(tables, key):
    servers = next(iter(tables.values()), {})
    return {name: [(one["million"], one[key]) for one in server["rounds"]]
            for name, server in servers.items() if server["rounds"]}


def points_of_labels(tables, key):
    """{server: [(label's number, median)]}"""
    found = {}
    for label, servers in tables.items():
        for name, one in spreads(servers, key).items():
            found.setdefault(name, []).append((float(label), one.median))
    return found


def short(number, is_bytes=False):
    """A number for an axis: 1024 bytes are 1 KiB."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if is_bytes and number >= unit and number % unit == 0:
            return f"{number // unit:,.0f} {name}"
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"


def counts_bytes(kind):
    return kind.x_title.startswith("bytes")


def ticks(least, greatest, is_log):
    if is_log:
        low, high = math.floor(math.log10(least)), math.ceil(math.log10(greatest))
        return [10 ** power for power in range(low, high + 1)]
    step = 10 ** math.floor(math.log10(max(greatest, 1e-9)))
    step = next(step * part for part in (0.2, 0.5, 1, 2, 5) if greatest / (step * part) <= 6)
    return [step * number for number in range(math.ceil(greatest / step) + 1)]


LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 76, 150, 76, 58, 440


def lines(found, kind, heading, baseline):
    """A line a server, named at its end; None if there is nothing to draw."""
    values = [value for points in found.values() for _, value in points if value]
    numbers = sorted({number for points in found.values() for number, _ in points})
    if not values or len(numbers) < 2:
        return None
    y_ticks = ticks(min(values), max(values), kind.is_log)
    low, high = (y_ticks[0], y_ticks[-1]) if kind.is_log else (0, max(y_ticks[-1], max(values)))
    x_low, x_high = (numbers[0], numbers[-1]) if kind.is_log else (0, numbers[-1])

    def place(value, least, most, start, length):
        if kind.is_log:
            value, least, most = math.log(value), math.log(least), math.log(most)
        return start + (value - least) / (most - least or 1) * length

    def x(number):
        return place(number, x_low, x_high, LEFT, WIDTH - LEFT - RIGHT)

    def y(value):
        return place(value, low, high, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM))

    parts = [text(16, 26, heading, font_size=16, font_weight=600), text(LEFT - 60, 52, kind.title, fill="#4b5563")]
    for tick in y_ticks:
        parts.append(line(LEFT, y(tick), WIDTH - RIGHT, y(tick), FAINT))
        parts.append(text(LEFT - 8, y(tick) + 4, short(tick) if tick >= 1 else f"{tick:g}", text_anchor="end"))
    for number in numbers if kind.is_log else ticks(0, x_high, False):
        if number <= x_high:
            parts.append(line(x(number), HEIGHT - BOTTOM, x(number), HEIGHT - BOTTOM + 5, INK))
            words = short(number, counts_bytes(kind))
            parts.append(text(x(number), HEIGHT - BOTTOM + 20, words, text_anchor="middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, kind.x_title, text_anchor="middle", fill="#4b5563"))
    base = found.get(baseline)
    if kind.slope and base:
        parts += proportional(base, x, y, low, x_low)
    parts += curves(found, x, y, baseline)
    return document(HEIGHT, parts, heading)


def proportional(points, x, y, low, x_low):
    """A dotted line through the last point of the baseline, down in proportion."""
    number, value = points[-1]
    first = max(x_low, number * low / value)
    yield line(x(first), y(value * first / number), x(number), y(value), INK, stroke_dasharray="1 4", stroke_width=1.5,
               stroke_linecap="round")


def curves(found, x, y, baseline):
    """The lines, the baseline's last so that it lies above; then the names, pushed apart where they would meet."""
    colours = dict(zip(sorted(name for name in found if not is_own(name) and name != "floor"), PALETTE * 4))
    colours.update({name: FLOOR if name == "floor" else OWN if name == baseline else OWN_VARIANT
                    for name in found if name not in colours})
    for name in sorted(found, key=lambda name: (name == baseline, name)):
        width, colour = (3 if name == baseline else 1.6), colours[name]
        places = [(x(number), y(value)) for number, value in found[name] if value]
        path = " ".join(f"{at:.1f},{height:.1f}" for at, height in places)
        dashes = ' stroke-dasharray="5 4"' if name == "floor" else ""
        stroke = f'stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dashes}'
        yield f'<polyline points="{path}" fill="none" {stroke}/>'
        if len(places) <= 12:
            for at, height in places:
                yield f'<circle cx="{at:.1f}" cy="{height:.1f}" r="{width + 0.6}" fill="{colour}"/>'
    ends = [(y(points[-1][1]), x(points[-1][0]), name) for name, points in found.items() if points[-1][1]]
    edge = max(at for _, at, _ in ends)
    # Whose line ends early has its name there.
    early = [one for one in ends if one[1] < edge - 60]
    late = sorted(one for one in ends if one not in early)
    heights = apart([height for height, _, _ in late])
    for height, (_, at, name) in [*zip(heights, late), *((one[0], one) for one in early)]:
        weight = 600 if is_own(name) else 400
        yield text(at + 12, height + 4, name, fill=colours[name], font_weight=weight)


def apart(heights, least=15, bottom=HEIGHT - 30):
    """Sorted heights, moved down as far as it takes, and up again from the bottom."""
    moved = []
    for height in heights:
        moved.append(max(height, moved[-1] + least) if moved else height)
    for at in range(len(moved) - 1, -1, -1):
        moved[at] = min(moved[at], bottom - (len(moved) - 1 - at) * least)
    return moved
