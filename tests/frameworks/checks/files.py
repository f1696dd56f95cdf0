"""Files: by `wsgi.file_wrapper`, and the static files that a framework serves itself."""

from urllib.parse import quote

from checks.client import check, digest, same

FILE = bytes(range(256)) * 256 * 24
STYLE = b"body { color: #2b2b2b }\n"


@check("pages")
def file_of_1_5_megabytes(server):
    answer = server.get("/file").expect(200)
    same([len(FILE), digest(FILE)], [len(answer.body), digest(answer.body)], "size and sha256 ")


@check("static")
def static_file(server):
    answer = server.get("/static/style.css").expect(200, STYLE)
    same("text/css", answer.headers.get_content_type(), "Content-Type ")
    same(str(len(STYLE)), answer.headers.get("Content-Length"), "Content-Length ")


@check("static")
def static_file_not_modified(server):
    modified = server.get("/static/style.css").headers.get("Last-Modified")
    server.get("/static/style.css", If_Modified_Since=modified).expect(304, b"")


@check("static")
def static_head(server):
    answer = server.ask("HEAD", "/static/style.css").expect(200, b"")
    same(str(len(STYLE)), answer.headers.get("Content-Length"), "Content-Length ")


@check("static")
def static_file_with_a_name_outside_ascii(server):
    server.get("/static/" + quote("grüße an alle.txt")).expect(200, "a name outside ASCII, and a space\n".encode())


@check("static")
def static_file_that_is_not_there(server):
    server.get("/static/no-such.css").expect(404)


@check("static")
def static_files_end_at_their_folder(server):
    for target in ("/static/../check.py", "/static/%2e%2e/check.py", "/static/..%2fcheck.py"):
        same(True, server.get(target).status in (400, 403, 404), f"{target} is refused: ")


@check("ranges")
def static_range(server):
    answer = server.get("/static/style.css", Range="bytes=5-9").expect(206, STYLE[5:10])
    same(f"bytes 5-9/{len(STYLE)}", answer.headers.get("Content-Range"), "Content-Range ")


@check("ranges")
def static_range_past_the_end(server):
    server.get("/static/style.css", Range="bytes=5000-").expect(416)
