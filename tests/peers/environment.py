"""What has to be there before a server is started: virtual environments with the peers, and what is compiled."""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple

from roster import PACKAGES

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# What a second Python gets besides what the first could not have. weft installs where it does not run.
ALSO = ["granian", "freastal", "weft-server"]

# What was found out about one Python. `suffix` goes behind the names of its servers.
_Interpreter = namedtuple("Interpreter", "python packages prefix version suffix")


class Interpreter(_Interpreter):
    def words(self):
        return {"python": self.python, "bin": os.path.dirname(self.python), "prefix": self.prefix}


def interpreter(python, is_main=True):
    """Versions of the packages that `python` can import, its prefix and version."""
    script = (
        "import importlib.metadata as m, json, sys\nfound = {}\n"
        f"for name in {list(PACKAGES)!r}:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps([found, sys.prefix, sys.version.split()[0]]))"
    )
    done = subprocess.run([python, "-c", script], check=True, stdout=subprocess.PIPE)
    packages, prefix, version = json.loads(done.stdout)
    suffix = "" if is_main else "-" + "".join(version.split(".")[:2])
    return Interpreter(python, packages, prefix, version, suffix)


def make(folder, base, wanted=tuple(PACKAGES)):
    """A virtual environment with packages in it; one that fails is named and left out. Returns its Python."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([base, "-m", "venv", folder], check=True)
    present = interpreter(python).packages
    for package in wanted:
        if package in present:
            continue
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[package]]
        done = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        why = (done.stdout.strip().splitlines() or ["no message"])[-1]
        print(f"setup: {package} " + ("installed" if done.returncode == 0 else f"left out: {why}"), file=sys.stderr)
    return python


def make_all(folder, base, also):
    """The environment of the main Python in `folder`, those of others below it. Returns their Pythons."""
    main = make(folder, base)
    has = interpreter(main).packages
    wanted = [package for package in PACKAGES if package not in has or package in ALSO]
    others = []
    for one in also:
        version = interpreter(one).version
        others.append(make(os.path.join(folder, f"python-{version}"), one, wanted))
    return main, others


def build_floor(folder):
    """The native floor's program, compiled into `folder`; None without a C compiler or without epoll."""
    compiler = shutil.which("cc")
    if not compiler or not sys.platform.startswith("linux"):
        return None
    os.makedirs(folder, exist_ok=True)
    program = os.path.join(folder, "floor")
    done = subprocess.run([compiler, "-O2", "-o", program, os.path.join(HERE, "floor.c")], stderr=subprocess.PIPE)
    return program if done.returncode == 0 else None


def build_hyper(folder):
    """hyper's program; a ValueError says why there is none."""
    cargo(["--manifest-path", os.path.join(HERE, "hyper", "Cargo.toml"), "--target-dir", folder], "hyper")
    return os.path.join(folder, "release", "hyper-peer")


def build_example():
    """handwound's example for Rust; a ValueError says why there is none."""
    cargo(["-p", "handwound-wsgi", "--example", "bench"], "the example `bench`")
    return os.path.join(ROOT, "target", "release", "examples", "bench")


def cargo(arguments, what):
    if not shutil.which("cargo"):
        raise ValueError("needs cargo, which is not installed")
    print(f"building {what}", file=sys.stderr, flush=True)
    done = subprocess.run(
        ["cargo", "build", "--quiet", "--release", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if done.returncode:
        raise ValueError(f"{what} does not build: {(done.stdout.strip().splitlines() or ['no message'])[-1]}")


def make_certificate(folder):
    """(certificate, key) for this machine, signed by itself; a ValueError says why there is none."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    if not shutil.which("openssl"):
        raise ValueError("needs openssl, which makes the certificate")
    if not os.path.exists(certificate):
        # ECDSA on P-256 is what a certificate of today has; PKCS#8 is the one form that all of them read.
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost"
        subprocess.run(
            [*command.split(), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
             "-out", certificate],
            check=True, stderr=subprocess.DEVNULL,
        )
    return certificate, key
