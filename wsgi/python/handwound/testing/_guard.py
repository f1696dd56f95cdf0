"""What a simulation does not cover is refused where a program asks for it, by an exception that says what to do."""

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
    "a lock of a file is for other processes, and would be waited for in real time. Use threading.Lock within the"
    " process, or ask without waiting (LOCK_NB)"
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
}
NETWORK = (
    "a simulation has no network but this machine's own (127.0.0.1, ::1, UNIX sockets): what comes from elsewhere cannot"
    " be had again. Replace the client in the test, or serve a stand-in on 127.0.0.1 from a thread"
)
LOCK_NB = 4


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
    if event in ("socket.connect", "socket.sendto") and not is_local(args[1]):
        raise NotSimulated("%s to %r: %s" % (event, args[1], NETWORK))
    if event in ("socket.getaddrinfo", "socket.gethostbyname") and args[0] is not None and not is_local((args[0],)):
        raise NotSimulated("%s of %r: %s" % (event, args[0], NETWORK))
    if event in ("fcntl.flock", "fcntl.lockf") and not args[1] & LOCK_NB and args[1] & 3:
        raise NotSimulated("%s: %s" % (event, LOCKS))


def shown(args: Any) -> str:
    first = args[0] if args else None
    return " of %r" % (first,) if isinstance(first, (str, bytes, list)) else ""


def install() -> None:
    """Once in a process: what is hooked cannot be unhooked."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(hook)
