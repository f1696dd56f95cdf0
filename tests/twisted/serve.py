"""Serves `tree.py` with real Twisted on a free port of this machine; says which."""

import os
import sys

# For the scripts.
os.environ["TREE_PACKAGE"] = "twisted"

from twisted.internet import reactor
from twisted.python import log
from twisted.web.server import Site

import tree

log.startLogging(sys.stderr, setStdout=False)
site = Site(tree.make("twisted"))
port = reactor.listenTCP(0, site, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
