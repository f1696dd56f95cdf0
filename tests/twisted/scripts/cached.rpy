import os

runs = registry.__dict__.setdefault("runs", [])
runs.append("begun")
cache()
runs.append("whole")
PACKAGE = os.environ.get("TREE_PACKAGE", "handwound")
static = __import__(PACKAGE + ".web.static", fromlist=["Data"])


class Runs(static.Data):
    isLeaf = True

    def render_GET(self, request):
        return repr(runs).encode("ascii")


resource = Runs(b"", "text/plain")
