import os

PACKAGE = os.environ.get("TREE_PACKAGE", "handwound")
resource_module = __import__(PACKAGE + ".web.resource", fromlist=["Resource"])


class Show(resource_module.Resource):
    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/plain")
        name = os.path.basename(__file__)
        return repr((name, registry is not None, request.prepath, request.postpath)).encode("ascii")


resource = Show()
