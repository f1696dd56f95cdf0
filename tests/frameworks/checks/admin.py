"""Django's admin, used as a person uses it: log in, add, change, find and delete a book, upload its cover."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

from checks.browser import Browser, Page
from checks.client import Differs, check, digest, noise, same

BOOKS = "/admin/shelf/book/"
KINDS = {"css": "text/css", "js": "javascript", "svg": "image/svg+xml"}
NAME, PASSWORD = "ada", "correct horse"


def logged_in(server):
    browser = Browser(server)
    contains(browser.submit("/admin/login/?next=/admin/", {"username": NAME, "password": PASSWORD}), "Site administration")
    return browser


def contains(answer, text):
    """The text is on the page, which came as it should."""
    answer.expect(200)
    if text not in answer.body.decode():
        # What the page itself complains of says more than the page.
        errors = re.findall(r'(?s)class="error[^>]*>(.*?)</', answer.body.decode())
        raise Differs(f"expected a page with {text!r} got {errors or answer.body[:300]!r}")


def books(server):
    return server.get("/books").json()


def number_of(browser, title):
    """The admin's path of a book."""
    page = browser.open(f"{BOOKS}?q={title.replace(' ', '+')}").expect(200).body.decode()
    return next(link for link in Page(page).links if re.match(rf"{BOOKS}\d+/change/", link)).split("?")[0]


@check("admin")
def the_admin_wants_a_log_in(server):
    answer = server.get("/admin/").expect(302)
    same("/admin/login/?next=/admin/", answer.headers["Location"], "Location ")


@check("admin")
def a_wrong_password_is_refused(server):
    browser = Browser(server)
    answer = browser.submit("/admin/login/", {"username": NAME, "password": "wrong"})
    contains(answer, "Please enter the correct username and password")
    same(False, "sessionid" in browser.cookies, "a session: ")


@check("admin")
def a_form_without_its_token_is_refused(server):
    browser = Browser(server)
    browser.open("/admin/login/").expect(200)
    fields = f"username={NAME}&password=correct+horse&csrfmiddlewaretoken={'x' * 64}"
    answer = browser.ask("POST", "/admin/login/", fields, {"Content-Type": "application/x-www-form-urlencoded"})
    answer.expect(403)


@check("admin")
def log_in_and_out(server):
    browser = logged_in(server)
    token = Page(browser.open("/admin/").body.decode()).fields["csrfmiddlewaretoken"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    contains(browser.ask("POST", "/admin/logout/", f"csrfmiddlewaretoken={token}", form), "Logged out")
    browser.ask("GET", "/admin/").expect(302)


@check("admin")
def the_admins_pages_find_their_static_files(server):
    browser = logged_in(server)
    found = set()
    for target in ("/admin/", BOOKS, BOOKS + "add/"):
        page = Page(browser.open(target).expect(200).body.decode())
        found.update(reference for reference in page.references if reference.startswith("/static/"))
    same(True, len(found) > 5, "more than five static files: ")
    for reference in found:
        answer = server.get(reference).expect(200)
        kind = KINDS[reference.rpartition(".")[2]]
        same(True, kind in answer.headers["Content-Type"], f"{kind} for {reference}: ")


@check("admin")
def add_change_and_delete_a_book(server):
    browser = logged_in(server)
    contains(browser.submit(BOOKS + "add/", {"title": "Grüße an alle", "pages": "120"}), "was added successfully")
    same(120, books(server).get("Grüße an alle"), "pages ")
    change = number_of(browser, "alle")
    contains(browser.submit(change, {"pages": "121"}), "was changed successfully")
    same(121, books(server).get("Grüße an alle"), "pages ")
    contains(browser.submit(change.replace("/change/", "/delete/"), {"post": "yes"}), "was deleted successfully")
    same(None, books(server).get("Grüße an alle"), "pages of a deleted book ")


@check("admin")
def a_form_with_an_error_comes_back(server):
    browser = logged_in(server)
    contains(browser.submit(BOOKS + "add/", {"title": "Thirteen", "pages": "13"}), "no book has thirteen pages")
    contains(browser.submit(BOOKS + "add/", {"title": "Thirteen", "pages": "many"}), "Enter a whole number.")
    same(None, books(server).get("Thirteen"), "pages ")


@check("admin")
def upload_a_cover_of_5_megabytes(server):
    browser = logged_in(server)
    content = noise(5_000_000)
    answer = browser.submit(BOOKS + "add/", {"title": "With a cover", "pages": "1"}, ("cover", content))
    contains(answer, "was added successfully")
    page = browser.open(number_of(browser, "cover")).expect(200).body.decode()
    target = next(link for link in Page(page).links if link.startswith("/media/covers/"))
    got = server.get(target).expect(200).body
    same([len(content), digest(content)], [len(got), digest(got)], "size and sha256 ")


@check("admin")
def eight_people_add_books_at_once(server):
    def person(number):
        browser = logged_in(server)
        for n in range(3):
            title = {"title": f"by {number}, no. {n}", "pages": str(number)}
            contains(browser.submit(BOOKS + "add/", title), "was added successfully")

    with ThreadPoolExecutor(8) as people:
        list(people.map(person, range(8)))
    added = {title: pages for title, pages in books(server).items() if title.startswith("by ")}
    same({f"by {number}, no. {n}": number for number in range(8) for n in range(3)}, added, "books ")


@check("admin")
def the_list_is_in_the_database(server):
    answer = server.get("/books").expect(200)
    same("application/json", answer.headers.get_content_type(), "Content-Type ")
    same(True, len(json.loads(answer.body)) >= 24, "books of the other checks: ")


@check("admin")
def a_host_that_is_not_allowed_is_400(server):
    server.get("/books", Host="elsewhere.example").expect(400)


@check("admin")
def a_path_without_its_slash_is_redirected(server):
    answer = server.get("/admin/shelf").expect(302)
    same("/admin/login/?next=/admin/shelf", answer.headers["Location"], "Location ")
