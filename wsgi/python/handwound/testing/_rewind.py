"""Puts the plain data of modules back to what they were, so that each run begins as the first did."""

import copy
from types import ModuleType
from typing import Any, Callable, Dict, List, Tuple

# Exactly these, and nothing in them that is not of these: what an object of another kind holds is not ours to copy.
ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
MUTABLE = (list, dict, set, bytearray)
NODES_MAX = 100_000


def is_plain(value: Any, left: List[int]) -> bool:
    """Whether a value is made of plain data only; a large or endless one is not."""
    left[0] -= 1
    kind = type(value)
    if left[0] < 0:
        return False
    if kind in ATOMS or kind is bytearray:
        return True
    if kind in (list, tuple, set, frozenset):
        return all(is_plain(one, left) for one in value)
    if kind is dict:
        return all(is_plain(key, left) and is_plain(one, left) for key, one in value.items())
    return False


def is_same(value: Any, kept: Any) -> bool:
    """Whether a value is what was kept, also in the order of its keys and in its types: ``1 == True``, and two dicts that
    are told apart by their order are equal."""
    if type(value) is not type(kept):
        return False
    if isinstance(kept, dict):
        return len(value) == len(kept) and all(map(is_same, value.items(), kept.items()))
    if isinstance(kept, (list, tuple)):
        return len(value) == len(kept) and all(map(is_same, value, kept))
    return bool(value == kept)


def put_back(value: Any, kept: Any) -> None:
    """Makes `value` what it was, in place."""
    fresh = copy.deepcopy(kept)
    if isinstance(value, dict):
        value.clear()
        value.update(fresh)
    elif isinstance(value, set):
        value.clear()
        value |= fresh
    else:
        value[:] = fresh


class Rewind:
    """What the modules have now is what :meth:`apply` puts back."""

    def __init__(self, modules: List[Any]) -> None:
        self.kept: List[Tuple[Dict[str, Any], str, Any, Any]] = []
        for module in {id(one): one for one in modules if isinstance(one, ModuleType)}.values():
            names = vars(module)
            for name, value in list(names.items()):
                if not name.startswith("__") and type(value) in ATOMS + MUTABLE and is_plain(value, [NODES_MAX]):
                    self.kept.append((names, name, value, copy.deepcopy(value)))

    def apply(self) -> None:
        for names, name, value, kept in self.kept:
            if type(value) in MUTABLE and not is_same(value, kept):
                put_back(value, kept)
            names[name] = value


Setup = Callable[[], Any]
