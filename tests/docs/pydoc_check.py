"""`pydoc handwound` reads well: every module renders, and whatever is public says what it is."""

import importlib
import inspect
import pkgutil
import pydoc

import handwound

missing = []
seen = 0


def look(owner, name, thing):
    """Notes what says nothing about itself; looks into classes."""
    global seen
    seen += 1
    if not (inspect.getdoc(thing) or "").strip():
        missing.append(f"{owner}.{name}")
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            # What a base class of ours says holds for the method that takes its place: getdoc looks there.
            if not member.startswith("_") and (inspect.isroutine(value) or isinstance(value, property)):
                look(f"{owner}.{name}", member, getattr(thing, member))


modules = ["handwound"]
modules += [found.name for found in pkgutil.walk_packages(handwound.__path__, "handwound.")]
for name in modules:
    if any(part.startswith("_") for part in name.split(".")):
        continue
    module = importlib.import_module(name)
    if not inspect.ismodule(module):
        # A module that gives a thing its own place, as Twisted's reactor.
        look("handwound", name, module)
        continue
    look("module", name, module)
    assert pydoc.render_doc(module, renderer=pydoc.plaintext)
    for public in getattr(module, "__all__", ()):
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            look(name, public, thing)

assert seen > 20, f"only {seen} things were looked at: {modules}"
assert not missing, "nothing is said about " + ", ".join(sorted(missing))
