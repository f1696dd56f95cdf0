"""Static files by WhiteNoise: names with a hash, compressed variants, caching for ever."""

import gzip
import re

from checks.admin import logged_in
from checks.browser import Page
from checks.client import check, same


def hashed(server):
    """A style sheet of the admin, under its name with the hash."""
    page = Page(logged_in(server).open("/admin/").expect(200).body.decode())
    return next(one for one in page.references if re.match(r"/static/admin/css/base\.[0-9a-f]{12}\.css$", one))


@check("whitenoise")
def hashed_files_are_cached_for_ever(server):
    control = server.get(hashed(server)).expect(200).headers.get("Cache-Control", "")
    same(True, "immutable" in control and "public" in control, f"immutable and public in {control!r}: ")


@check("whitenoise")
def files_come_compressed_to_who_takes_that(server):
    target = hashed(server)
    plain = server.get(target).expect(200)
    same(None, plain.headers.get("Content-Encoding"), "Content-Encoding ")
    packed = server.get(target, Accept_Encoding="gzip").expect(200)
    same("gzip", packed.headers.get("Content-Encoding"), "Content-Encoding ")
    same(plain.body, gzip.decompress(packed.body), "body ")
    same(True, len(packed.body) < len(plain.body), "shorter: ")


@check("whitenoise")
def a_file_that_has_not_changed_is_not_sent(server):
    answer = server.get("/static/shelf/shelf.css").expect(200)
    server.get("/static/shelf/shelf.css", If_None_Match=answer.headers.get("ETag", "none")).expect(304, b"")


@check("whitenoise")
def a_part_of_a_file(server):
    whole = server.get("/static/shelf/shelf.css").expect(200).body
    server.get("/static/shelf/shelf.css", Range="bytes=2-9").expect(206, whole[2:10])


@check("whitenoise")
def names_in_style_sheets_have_their_hash_too(server):
    names = server.get("/static/staticfiles.json").json()["paths"]
    page = server.get("/static/" + names["shelf/shelf.css"]).expect(200).body.decode()
    same(True, names["shelf/dot.svg"].rpartition("/")[2] in page, "the name with the hash: ")
    server.get("/static/" + names["shelf/dot.svg"]).expect(200)


@check("whitenoise")
def what_is_no_static_file_reaches_the_application(server):
    server.get("/static/no-such.css").expect(404)
    server.get("/books").expect(200)
