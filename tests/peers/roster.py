"""Who takes part: how each server is started, for what a scenario needs of it. Pure: words in, commands out."""

import shlex
from collections import namedtuple

# What a scenario needs of every server; `tls` and `idle` are whether, `module` is where the application stands.
Need = namedtuple("Need", "threads workers tls idle module", defaults=(4, 1, False, False, "apps"))

# One way to run a server. In `command` {python}, {bin} (its scripts), {prefix}, {port}, {threads}, {workers} and
# {module} are replaced. `tls` is what makes it speak TLS, `idle` what lets it keep very many idle connections for
# minutes (None where nothing does, or where it does so by itself: `keeps_idle`). `of` is the server of which this is
# a variant.
Peer = namedtuple("Peer", "name package command tls idle of", defaults=(None, "", None))

# What each needs from the package index. fastwsgi imports pkg_resources.
PACKAGES = {
    "flask": ["flask"],
    "gunicorn": ["gunicorn"],
    "granian": ["granian"],
    "uwsgi": ["uwsgi"],
    "bjoern": ["bjoern"],
    "twisted": ["twisted"],
    "waitress": ["waitress"],
    "cheroot": ["cheroot"],
    "freastal": ["freastal"],
    "fastwsgi": ["fastwsgi", "setuptools<81"],
    "fastpysgi": ["fastpysgi"],
    "peregrine-server": ["peregrine-server"],
    "m0serve": ["m0serve"],
    "pyvoy": ["pyvoy"],
    "falcorn": ["falcorn"],
    "tsuno": ["tsuno"],
    "weft-server": ["weft-server"],
}

# Access logs are off, as far as a server lets us.
PEERS = [
    Peer("gunicorn", "gunicorn", "{python} -m gunicorn -b 127.0.0.1:{port} -w {workers} -k gthread --threads {threads}"
         " --log-level warning {more} {module}:app",
         "--certfile {cert} --keyfile {key}", "--keep-alive 600 --worker-connections 60000"),
    Peer("granian", "granian", "{python} -m granian --interface wsgi --http 1 --host 127.0.0.1 --port {port}"
         " --workers {workers} --blocking-threads {threads} --no-log {more} {module}:app",
         "--ssl-certificate {cert} --ssl-keyfile {key}", "--http1-header-read-timeout 60000 --backpressure 60000"),
    Peer("weft", "weft-server", "{bin}/weft --host 127.0.0.1 --port {port} --protocol wsgi --workers {workers}"
         " --wsgi-threads {threads} {more} {module}:app",
         "--tls-cert {cert} --tls-key {key} --no-http2",
         "--keep-alive 600 --header-timeout 600 --request-timeout 0 --max-connections 60000"),
    Peer("weft-inline", "weft-server", "{bin}/weft --host 127.0.0.1 --port {port} --protocol wsgi --workers {workers}"
         " {more} {module}:app", of="weft"),
    Peer("peregrine", "peregrine-server", "{bin}/peregrine --host 127.0.0.1 --port {port} --protocol wsgi"
         " --workers {workers} --wsgi-threads {threads} --log-level error {more} {module}:app",
         "--tls-cert {cert} --tls-key {key} --no-http2",
         "--keep-alive 600000 --request-timeout 600000 --max-connections 60000"),
    Peer("m0serve", "m0serve", "{bin}/m0serve --host 127.0.0.1 --port {port} --workers {workers}"
         " --blocking-threads {threads} --max-keepalive-requests 0 --max-body 64m {more} {module}:app",
         None, "--idle-timeout 0 --body-timeout 0"),
    Peer("m0serve-inline", "m0serve", "{bin}/m0serve --host 127.0.0.1 --port {port} --workers {workers}"
         " --blocking-threads 0 --max-keepalive-requests 0 --max-body 64m {more} {module}:app", of="m0serve"),
    Peer("pyvoy", "pyvoy", "{bin}/pyvoy --interface wsgi --address 127.0.0.1 --port {port} --worker-threads {threads}"
         " {more} {module}:app", "--tls-cert {cert} --tls-key {key} --tls-disable-http3"),
    Peer("falcorn", "falcorn", "{bin}/falcorn run -i wsgi -H 127.0.0.1 -p {port} -w {workers} {more} {module}:app",
         None, "--keepalive 600 -M 60000"),
    Peer("tsuno", "tsuno", "{bin}/tsuno -b 127.0.0.1:{port} -w {workers} --threads {threads} --no-access-log {more}"
         " {module}:app"),
    Peer("uwsgi", "uwsgi", "{bin}/uwsgi --http-socket 127.0.0.1:{port} --master --die-on-term --enable-threads"
         " --processes {workers} --threads {threads} --disable-logging --listen 100 --home {prefix} {more}"
         " --module {module}:app", None, None),
    Peer("bjoern", "bjoern", "{python} serve.py bjoern {port} {threads} {module} {more}"),
    Peer("freastal", "freastal", "{python} serve.py freastal {port} {threads} {module} --workers {workers} {more}",
         "--cert {cert} --key {key}"),
    Peer("fastwsgi", "fastwsgi", "{python} serve.py fastwsgi {port} {threads} {module} {more}"),
    Peer("fastpysgi", "fastpysgi", "{python} serve.py fastpysgi {port} {threads} {module} {more}"),
    Peer("waitress", "waitress", "{python} -m waitress --listen 127.0.0.1:{port} --threads {threads} {more}"
         " {module}:app", None, "--connection-limit 60000 --channel-timeout 600 --asyncore-use-poll"),
    Peer("cheroot", "cheroot", "{python} serve.py cheroot {port} {threads} {module} {more}", None, "--idle"),
    # As its users start it, with its pool of 5 to 20 threads; and with as many threads as the others. It logs to its
    # standard output: a log file it would rotate, and a device that stood in for one it would rename.
    Peer("twistd", "twisted", "{bin}/twistd -n --pidfile= -l - web --wsgi={module}.app"
         " --listen tcp:{port}:interface=127.0.0.1 {more}", of="twisted"),
    Peer("twisted", "twisted", "{python} serve.py twisted {port} {threads} {module} {more}", None, "--idle"),
]

HANDWOUND = "{handwound} web --python {python} --app-dir {here} --wsgi {module}:app"
PLAIN = " --listen tcp:{port}:interface=127.0.0.1"
TLS = " --https {port} --certificate {cert} --privkey {key}"
IDLE = " --idle-timeout 600 --head-timeout 600"
# The same command with other threads; {many} is --many-threads.
VARIANTS = [
    ("handwound", " --threads {threads}..{threads}"),
    ("handwound-32t", " --threads {many}..{many}"),
    ("handwound-default", ""),
    ("handwound-inline", " --threads 0"),
]
FLOOR = Peer("floor", None, "{floor} {port}")
RUST = [
    Peer("handwound-rust", None, "{example} {port} {threads}"),
    Peer("handwound-rust-inline", None, "{example} {port} 0", of="handwound-rust"),
    Peer("hyper-pooled", None, "{hyper} {port} {threads}"),
    Peer("hyper", None, "{hyper} {port} 0"),
]


def handwound_peers(many):
    """handwound and its variants, named by their threads."""
    made = []
    for name, threads in VARIANTS:
        name = name.replace("32", str(many))
        of = None if name == "handwound" else "handwound"
        command = HANDWOUND + "{more}" + threads.replace("{many}", str(many)) + " --workers {workers}"
        made.append(Peer(name, None, command, TLS, IDLE, of))
    return made


def why_not(peer, need):
    """Why a server cannot do what is needed, or None."""
    if need.workers > 1 and "{workers}" not in peer.command:
        return "has one process"
    if need.tls and not peer.tls:
        return "speaks no TLS, or needs a proxy for it"
    if need.idle and peer.idle is None:
        return "closes after each answer"
    return None


def fill(peer, need, words):
    """The command's words, with {port} left in them. A ValueError says why this server cannot do what is needed."""
    why = why_not(peer, need)
    if why:
        raise ValueError(why)
    own = peer.command.startswith("{handwound}")
    more = [peer.tls if need.tls else PLAIN if own else "", peer.idle if need.idle else ""]
    known = dict(words, threads=need.threads, workers=need.workers, module=need.module, port="{port}", more="")
    parts = shlex.split(peer.command.replace("{more}", " ".join(more)))
    return [part.format(**known) for part in parts]


def known_to(interpreter, words):
    """(peers that are installed for an interpreter, {name: why not} for the others), their names with its suffix."""
    found, missing = [], {}
    for peer in PEERS:
        name = peer.name + interpreter.suffix
        if peer.package in interpreter.packages:
            of = peer.of and peer.of + interpreter.suffix
            found.append((peer._replace(name=name, of=of), dict(words, **interpreter.words())))
        elif not interpreter.suffix:
            missing[name] = f"{peer.package} is not installed for Python {interpreter.version}"
    return found, missing
