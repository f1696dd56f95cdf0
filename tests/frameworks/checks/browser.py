"""A browser's part of a conversation: keeps cookies, fills in forms with what they already hold. No scripts."""

from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from checks.client import Differs, multipart


class Page(HTMLParser):
    """What a page refers to, and the fields of its forms that take POST."""

    def __init__(self, text):
        super().__init__()
        self.fields, self.references, self.links = {}, [], []
        self.in_form = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.in_form = attributes.get("method", "").lower() == "post"
        elif tag in ("link", "script", "img"):
            self.references += [attributes[name] for name in ("href", "src") if attributes.get(name)]
        elif tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif tag == "input" and self.in_form and attributes.get("name"):
            if attributes.get("type") not in ("file", "submit", "checkbox", "radio"):
                self.fields[attributes["name"]] = attributes.get("value", "")

    def handle_endtag(self, tag):
        if tag == "form":
            self.in_form = False


class Browser:
    """One person at one browser."""

    def __init__(self, server):
        self.server = server
        self.cookies = {}

    def ask(self, method, target, body=None, headers=None):
        """One request, with the cookies so far; keeps those of the answer."""
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.server.ask(method, target, body, headers)
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, value = cookie.split(";")[0].split("=", 1)
            if value in ("", '""'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def open(self, target):
        """The answer to a GET, redirects followed."""
        for _ in range(5):
            answer = self.ask("GET", target)
            if answer.status not in (301, 302, 303):
                return answer
            target = whole(answer.headers["Location"])
        raise Differs(f"expected a page at {target} got redirects only")

    def submit(self, target, fields, file=None):
        """Fills in the form at `target` and sends it; the answer, or the page it leads to. `file`: name, content."""
        page = Page(self.open(target).expect(200).body.decode())
        filled = {**page.fields, **fields}
        if file:
            name, content = file
            body, headers = multipart(filled, name, "a cover.png", content, "image/png")
        else:
            body, headers = urlencode(filled), {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.ask("POST", target, body, headers)
        return self.open(whole(answer.headers["Location"])) if answer.status in (302, 303) else answer


def whole(location):
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")
