"""Where threads may be left in the middle of Python code: tells the simulation of each such point."""

import dis
import os
import sys
import sysconfig
import threading
from types import CodeType, FrameType
from typing import Any, Dict, Optional, Sequence, Set, Tuple

from handwound.testing._options import Options


class Nowhere:
    """Threads are left only where they wait."""

    def begin(self) -> None:
        """From here on, until the end."""

    def end(self) -> None:
        """No longer."""


class Watched:
    """Which code is looked at: what was named, else what is no part of an installation."""

    def __init__(self, names: Sequence[str], of: Sequence[Any]) -> None:
        self.names = [name.replace(".", os.sep) for name in names if not name.endswith(".py")]
        self.files = [os.path.abspath(name) for name in names if name.endswith(".py")]
        self.always = {code.co_filename for code in map(code_of, of) if code is not None}
        # Not all that is below `sys.prefix`, which may be as much as /usr.
        folders = {os.path.dirname(os.__file__), *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))}
        self.installed = tuple(os.path.realpath(folder) + os.sep for folder in folders)
        self.own = os.path.dirname(os.path.abspath(__file__)) + os.sep
        self.known: Dict[str, bool] = {}

    def __call__(self, code: CodeType) -> bool:
        file = code.co_filename
        known = self.known.get(file)
        if known is None:
            known = self.known[file] = self.look(file)
        return known

    def look(self, file: str) -> bool:
        if file.startswith("<") or os.path.abspath(file).startswith(self.own):
            return False
        path = os.path.realpath(file)
        if self.names or self.files:
            parts = os.path.splitext(path)[0]
            return path in self.files or any(
                ("%s/" % parts).find("/%s/" % name) >= 0 for name in self.names
            )
        if file in self.always:
            return True
        return not path.startswith(self.installed) and not {"site-packages", "dist-packages"} & set(path.split(os.sep))


def code_of(thing: Any) -> Optional[CodeType]:
    code = getattr(thing, "__code__", None) or getattr(getattr(thing, "__call__", None), "__code__", None)
    return code if isinstance(code, CodeType) else None


def of(options: Options, functions: Sequence[Any]) -> Any:
    """As the options say, on this version of Python."""
    if options.preempt == "gates":
        return Nowhere()
    watched = Watched(options.watch, functions)
    if hasattr(sys, "monitoring"):
        return Monitored(watched, options.preempt == "opcode")
    return Traced(watched, options.preempt == "opcode")


class Monitored:
    """From 3.12 on: events of the code that is looked at, and nothing for all other code."""

    TOOL = 4

    def __init__(self, watched: Watched, every: bool) -> None:
        self.watched, self.every = watched, every

    def begin(self) -> None:
        from handwound import _native

        monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        events, event, watched = monitoring.events, _native.event, self.watched
        disable = monitoring.DISABLE
        monitoring.use_tool_id(self.TOOL, "handwound")
        local = events.INSTRUCTION if self.every else events.JUMP | events.CALL

        def starts(code: CodeType, offset: int) -> Any:
            if not watched(code):
                return disable
            if monitoring.get_local_events(self.TOOL, code) != local:
                monitoring.set_local_events(self.TOOL, code, local)
            return event(code, offset)

        def jumps(code: CodeType, offset: int, to: int) -> Any:
            # Only on the way back does CPython look whether others want to go on.
            return event(code, offset) if to < offset else disable

        def called(code: CodeType, offset: int, function: Any, first: Any) -> Any:
            return event(code, offset)

        monitoring.register_callback(self.TOOL, events.PY_START, starts)
        monitoring.register_callback(self.TOOL, events.PY_RESUME, starts)
        if self.every:
            monitoring.register_callback(self.TOOL, events.INSTRUCTION, event)
        else:
            monitoring.register_callback(self.TOOL, events.JUMP, jumps)
            monitoring.register_callback(self.TOOL, events.C_RETURN, called)
        monitoring.set_events(self.TOOL, events.PY_START | events.PY_RESUME)

    def end(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        monitoring.set_events(self.TOOL, 0)
        monitoring.free_tool_id(self.TOOL)


def switching(version: Sequence[int]) -> Tuple[Set[int], Set[int]]:
    """The instructions at whose end a CPython of this version looks whether others want to go on: those that have to come
    to it, and those that have to jump."""
    if tuple(version) >= (3, 10):
        ends = {code for name, code in dis.opmap.items() if name.startswith("CALL")}
        jumps = {
            code
            for name, code in dis.opmap.items()
            if name in ("JUMP_ABSOLUTE", "JUMP_BACKWARD") or name.startswith(("POP_JUMP_BACKWARD", "POP_JUMP_IF"))
        }
        # From 3.11 on those that go ahead have a name of their own, and do not look.
        return ends, jumps if tuple(version) == (3, 10) else {one for one in jumps if "FORWARD" not in dis.opname[one]}
    # Before, at nearly every instruction; these went on without a look.
    fast = {
        "NOP", "LOAD_FAST", "LOAD_CONST", "STORE_FAST", "POP_TOP", "ROT_TWO", "ROT_THREE", "ROT_FOUR", "DUP_TOP",
        "DUP_TOP_TWO", "UNARY_NOT", "COMPARE_OP", "IS_OP", "CONTAINS_OP", "JUMP_FORWARD", "POP_JUMP_IF_FALSE",
        "POP_JUMP_IF_TRUE", "POP_BLOCK", "SETUP_FINALLY", "SETUP_WITH", "FOR_ITER", "EXTENDED_ARG",
    }
    return {code for name, code in dis.opmap.items() if name not in fast}, {dis.opmap["JUMP_ABSOLUTE"]}


def looks_in(code: CodeType, ends: Set[int], jumps: Set[int]) -> Dict[int, int]:
    """By the offset of an instruction at which CPython looks: that of the next, negative where it has to be another."""
    instructions = list(dis.get_instructions(code))
    found: Dict[int, int] = {}
    for one, following in zip(instructions, instructions[1:]):
        if one.opcode in jumps:
            found[one.offset] = -following.offset
        elif one.opcode in ends:
            found[one.offset] = following.offset
    return found


class Traced:
    """Up to 3.11: each instruction of the code that is looked at is traced, and judged by the one before."""

    def __init__(self, watched: Watched, every: bool) -> None:
        self.watched, self.every = watched, every

    def begin(self) -> None:
        from handwound import _native

        event, every, has_called, forget = _native.event, self.every, _native.has_called, _native.forget_frame
        ends, jumps = switching(sys.version_info[:2])
        tables: Dict[CodeType, Dict[int, int]] = {}
        # 3.11 runs a Python function that Python code calls in the same loop, and does not look when it has returned.
        inlines = sys.version_info[:2] == (3, 11)

        def begin(frame: FrameType) -> Any:
            code = frame.f_code
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            event(code, max(frame.f_lasti, 0))
            table = tables.get(code)
            if table is None:
                table = tables[code] = looks_in(code, ends, jumps)
            last = -1

            def local(frame: FrameType, what: str, arg: Any) -> Any:
                nonlocal last
                if what == "opcode":
                    here = frame.f_lasti
                    following = table.get(last)
                    last = here
                    # The mark is taken off also where nobody looks.
                    inlined = inlines and has_called(frame)
                    if every:
                        event(code, here)
                    elif following is not None and not inlined and (
                        here == following or following < 0 and here != -following
                    ):
                        event(code, here)
                elif what == "return" and inlines:
                    forget(frame)
                return local

            return local

        _native.begin_tracing(self.watched, begin)
        _native.trace_threads(_native.trace)
        threading.settrace(_native.trace)

    def end(self) -> None:
        from handwound import _native

        threading.settrace(None)
        _native.trace_threads(None)
