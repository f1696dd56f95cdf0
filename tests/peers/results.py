"""What was measured, as a file: read, merged, written, so that a report can be drawn again and a run go on."""

import datetime
import json
import os
import platform
import re

import measure
from scenarios.base import base_name

FORM = 2


def empty():
    return {"form": FORM, "scenarios": {}}


def read(path):
    """What a file has; nothing yet if there is none. A ValueError says that it is something else."""
    if not path or not os.path.exists(path):
        return empty()
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict) or found.get("form") != FORM:
        raise ValueError(f"{path} is not of this bench, or of an older one; move it away")
    return found


def merge(into, name, result, about):
    """One scenario takes the place of what was there of it; the others stay. Every one knows when it was measured."""
    into["scenarios"][name] = dict(result, about=about)
    return into


def write(path, found):
    if path:
        save(path, json.dumps(found, indent=1) + "\n")


def save(path, text):
    """As a whole or not at all: who is interrupted keeps what was there."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    half = path + ".part"
    with open(half, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(half, path)


def about(interpreters, load):
    """The machine and the versions of now."""
    model = re.search(r"model name\s*: (.*)", measure.read("/proc/cpuinfo") or "")
    versions = {}
    for one in interpreters:
        named = {name + one.suffix: version for name, version in one.packages.items()}
        # Who is on a second Python too, in the same version, is named once.
        versions.update({name: version for name, version in named.items() if versions.get(base_name(name)) != version})
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model.group(1) if model else platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": ", ".join(one.version for one in interpreters),
        "versions": versions,
        "load": load,
    }
