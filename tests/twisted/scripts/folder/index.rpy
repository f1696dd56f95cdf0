import os
static = __import__(os.environ.get("TREE_PACKAGE", "handwound") + ".web.static", fromlist=["Data"])
resource = static.Data(b"index", "text/plain")
resource.isLeaf = True
