"""What a simulation does not cover is refused where a program asks for it, by an exception that says what to do."""

import _posixsubprocess
import fcntl
import os
import socket
import sys
from typing import Any, Dict

from handwound.testing._errors import NotSimulated

# Whether a run is under way.
active = False
_installed = False

PROCESSES = (
    "a simulation has one process; what another does cannot be had again. Replace the call in the test (unittest.mock,"
    " or a function that the application looks up), or do that work in a thread"
)
LOCKS = (
    "another process has this lock, and a simulation has one process: nobody in it could let go of the lock. Use"
    " threading.Lock within the process, or ask without waiting (LOCK_NB)"
)
REFUSED: Dict[str, str] = {
    "os.fork": PROCESSES,
    "os.forkpty": PROCESSES,
    "os.system": PROCESSES,
    "os.exec": PROCESSES,
    "os.posix_spawn": PROCESSES,
    "os.spawn": PROCESSES,
    "subprocess.Popen": PROCESSES,
    "pty.spawn": PROCESSES,
    "multiprocessing": PROCESSES,
}
NETWORK = (
    "a simulation has no network but this machine's own (127.0.0.1, ::1, UNIX sockets): what comes from elsewhere cannot"
    " be had again. Replace the client in the test, or serve a stand-in on 127.0.0.1 from a thread"
)
# Events by what is asked.
SENT = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKED_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
LOCKED = ("os.lockf", "fcntl.lockf", "fcntl.fcntl")
WITHOUT_WAITING = {fcntl.F_SETLKW: fcntl.F_SETLK}
if hasattr(fcntl, "F_OFD_SETLKW"):
    WITHOUT_WAITING[fcntl.F_OFD_SETLKW] = fcntl.F_OFD_SETLK


def is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        # A path, or an address in UNIX's abstract space.
        return isinstance(address, (str, bytes))
    host = address[0] if address else ""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return isinstance(host, str) and (host in ("", "localhost", "::1", "0.0.0.0", "::") or host.startswith("127."))


def hook(event: str, args: Any) -> None:
    if not active:
        return
    if event in REFUSED:
        raise NotSimulated("%s%s: %s" % (event, shown(args), REFUSED[event]))
    if event in SENT and args[1] is not None and not is_local(args[1]):
        raise NotSimulated("%s to %r: %s" % (event, args[1], NETWORK))
    if event in LOOKED_UP and args[0] is not None and not is_known(args[0]):
        raise NotSimulated("%s of %r: %s" % (event, args[0], NETWORK))
    if event in LOCKED and would_wait(event, args):
        raise NotSimulated("%s: %s" % (event, LOCKS))


def is_known(name: Any) -> bool:
    """Whether a name or address can be looked up here."""
    return is_local(name if isinstance(name, tuple) else (name,)) or name == socket.gethostname()


def would_wait(event: str, args: Any) -> bool:
    """Tries, without waiting, to lock what is about to be locked. What is locked twice is locked once."""
    try:
        if event == "os.lockf" and args[1] == os.F_LOCK:
            os.lockf(args[0], os.F_TLOCK, args[2])
        elif event == "fcntl.lockf" and args[1] & (fcntl.LOCK_SH | fcntl.LOCK_EX) and not args[1] & fcntl.LOCK_NB:
            fcntl.lockf(args[0], args[1] | fcntl.LOCK_NB, args[2] or 0, args[3] or 0, args[4])
        elif event == "fcntl.fcntl" and args[1] in WITHOUT_WAITING:
            fcntl.fcntl(args[0], WITHOUT_WAITING[args[1]], args[2])
    except (BlockingIOError, PermissionError):
        return True
    return False


def shown(args: Any) -> str:
    first = args[0] if args else None
    return " of %r" % (first,) if isinstance(first, (str, bytes, list)) else ""


def install() -> None:
    """Once in a process: what is hooked cannot be unhooked."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(hook)
        # The one way to start a process of which Python tells no hook: how multiprocessing does.
        start = _posixsubprocess.fork_exec

        def guarded(*args: Any) -> Any:
            hook("multiprocessing", args)
            return start(*args)

        _posixsubprocess.fork_exec = guarded
