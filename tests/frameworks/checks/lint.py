"""What a checker between server and application has found. Run last: the other checks are its material."""

import time

from checks.client import check, same


@check("wrapper")
def files_go_through_the_wrapper(server):
    before = server.get("/wrapped").json()
    server.get("/file").expect(200)
    same(before + 1, server.get("/wrapped").json(), "files wrapped ")


@check("problems")
def nothing_for_the_checker_to_report(server):
    deadline = time.monotonic() + 5
    found = server.get("/problems").json()
    # A server may send the end before it calls close().
    while found and time.monotonic() < deadline:
        found = server.get("/problems").json()
    same([], found, "violations ")
