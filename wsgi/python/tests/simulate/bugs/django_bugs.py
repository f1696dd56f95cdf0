"""Django applications whose requests come at the same time: with a database (SQLite in a file), cache and signals."""

import threading
import time
from typing import Any, List

import django
from django.conf import settings
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections, models, transaction
from django.db.models import F, Sum
from django.db.models.signals import post_save
from django.http import HttpResponse, JsonResponse
from django.urls import clear_url_caches, path

from bug import answered, ask, bug, fresh

DATABASE = fresh("django.sqlite")
TEMPLATE = fresh("template.sqlite")

# Five seconds of virtual time. Nothing here has to outlive a power cut, which one can say from 5.1 on.
HAS_OPTIONS = django.VERSION >= (5, 1)
OPTIONS = {"timeout": 5, **({"init_command": "PRAGMA synchronous=OFF"} if HAS_OPTIONS else {})}

settings.configure(
    SECRET_KEY="no secret",
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": TEMPLATE,
            "OPTIONS": OPTIONS,
        }
    },
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()


class Table(models.Model):
    class Meta:
        app_label = "shop"
        abstract = True


class Product(Table):
    stock = models.IntegerField(default=10)


class Order(Table):
    count = models.IntegerField(default=1)


class Account(Table):
    balance = models.IntegerField(default=100)


class Tag(Table):
    name = models.TextField()


class UniqueTag(Table):
    name = models.TextField(unique=True)


with connection.schema_editor() as editor:
    for table in (Product, Order, Account, Tag, UniqueTag):
        editor.create_model(table)
Product.objects.create()
Account.objects.bulk_create([Account(), Account()])
connection.close()
connections.settings["default"]["NAME"] = DATABASE


def serve(*urls: Any, middleware: Any = (), transactions: Any = None) -> WSGIHandler:
    """An application of these, with the database as it was at first."""
    connection.close()
    fresh("django.sqlite", TEMPLATE)
    if HAS_OPTIONS:
        connections.settings["default"]["OPTIONS"]["transaction_mode"] = transactions
    cache.clear()
    clear_url_caches()
    settings.ROOT_URLCONF = urls
    settings.MIDDLEWARE = list(middleware)
    return WSGIHandler()


def make_stock(fixed: bool) -> WSGIHandler:
    def buy(request: Any) -> HttpResponse:
        if fixed:
            Product.objects.filter(pk=1).update(stock=F("stock") - 1)
        else:
            product = Product.objects.get(pk=1)
            product.stock -= 1
            product.save()
        return HttpResponse("bought")

    def stock(request: Any) -> HttpResponse:
        return HttpResponse(Product.objects.get(pk=1).stock)

    return serve(path("buy", buy), path("stock", stock))


@bug(make_stock, budget=100, preempt="gates", shows="10 less 2 is 9")
def selected_then_saved(sim: Any) -> None:
    """A row is selected, changed and saved, where the database could do it (F)."""
    both = sim.post("/buy"), sim.post("/buy")
    sim.settle()
    assert answered(*both) == [200, 200]
    stock = ask(sim, "/stock").text
    assert stock == "8", "10 less 2 is %s" % stock


def make_tags(fixed: bool) -> WSGIHandler:
    def add(request: Any, name: str) -> HttpResponse:
        if fixed:
            UniqueTag.objects.get_or_create(name=name)
        elif not Tag.objects.filter(name=name).exists():
            Tag.objects.create(name=name)
        return HttpResponse("added")

    def tags(request: Any) -> JsonResponse:
        return JsonResponse({"names": list((UniqueTag if fixed else Tag).objects.values_list("name", flat=True))})

    return serve(path("add/<name>", add), path("tags", tags))


@bug(make_tags, budget=100, preempt="gates", shows="tags: \\['new', 'new'\\]")
def created_twice(sim: Any) -> None:
    """A row is created if there is none, by hand and without a constraint (get_or_create)."""
    both = sim.post("/add/new"), sim.post("/add/new")
    sim.settle()
    assert answered(*both) == [200, 200]
    names = ask(sim, "/tags").json()["names"]
    assert names == ["new"], "tags: %s" % names


def make_orders(fixed: bool) -> WSGIHandler:
    lock = threading.Lock()

    def saved(sender: Any, instance: Any, **how: Any) -> None:
        with lock:
            if sender is Order:
                product = Product.objects.get(pk=1)
                product.stock -= instance.count
                product.save()

    post_save.receivers.clear()
    post_save.sender_receivers_cache.clear()
    post_save.connect(saved, sender=Order if fixed else None, weak=False)

    def order(request: Any) -> HttpResponse:
        Order.objects.create()
        return HttpResponse("ordered")

    def stock(request: Any) -> HttpResponse:
        return HttpResponse(Product.objects.get(pk=1).stock)

    return serve(path("order", order), path("stock", stock))


@bug(make_orders, budget=10, preempt="gates", shows="no response to POST /order")
def signal_locks_twice(sim: Any) -> None:
    """A handler of a signal holds a lock and saves, which sends the signal."""
    both = sim.post("/order"), sim.post("/order")
    sim.settle()
    assert answered(*both) == [200, 200]
    assert sim.deadlock is None
    assert ask(sim, "/stock").text == "8"


def make_front_page(fixed: bool) -> WSGIHandler:
    lock = threading.Lock()
    made: List[float] = []

    def make() -> str:
        made.append(time.monotonic())
        time.sleep(1)
        return "page %d" % len(made)

    def front(request: Any) -> HttpResponse:
        page = cache.get("front")
        if page is None and fixed:
            with lock:
                page = cache.get("front")
                if page is None:
                    page = make()
                    cache.set("front", page, timeout=30)
        elif page is None:
            page = make()
            cache.set("front", page, timeout=30)
        return HttpResponse(page)

    def count(request: Any) -> HttpResponse:
        return HttpResponse(len(made))

    return serve(path("", front), path("count", count))


@bug(make_front_page, budget=10, preempt="gates", shows="made 4 times", workers=3)
def stampede(sim: Any) -> None:
    """A page in the cache expires, and all who want it make it."""
    assert ask(sim, "/").text == "page 1"
    sim.advance(31)
    three = [sim.get("/") for _ in range(3)]
    sim.settle_now()
    sim.advance(1)
    sim.settle()
    assert answered(*three) == [200, 200, 200]
    count = ask(sim, "/count").text
    assert count == "2", "made %s times" % count


def make_bank(fixed: bool) -> WSGIHandler:
    def move(request: Any, amount: int) -> HttpResponse:
        def both() -> None:
            Account.objects.filter(pk=1).update(balance=F("balance") - amount)
            Account.objects.filter(pk=2).update(balance=F("balance") + amount)

        if fixed:
            with transaction.atomic():
                both()
        else:
            both()
        return HttpResponse("moved")

    def total(request: Any) -> HttpResponse:
        return HttpResponse(Account.objects.aggregate(total=Sum("balance"))["total"])

    return serve(path("move/<int:amount>", move), path("total", total))


@bug(make_bank, budget=500, preempt="gates", shows="there are 170")
def not_atomic(sim: Any) -> None:
    """Two rows that belong together are changed in two transactions."""
    moved, total = sim.post("/move/30"), sim.get("/total")
    sim.settle()
    assert answered(moved, total) == [200, 200]
    assert total.text == "200", "there are %s" % total.text


def make_mails(fixed: bool) -> WSGIHandler:
    sent: List[str] = []

    def send(number: int) -> None:
        found = Order.objects.filter(pk=number).exists()
        sent.append("order %d" % number if found else "no such order")
        connection.close()

    def order(request: Any) -> HttpResponse:
        with transaction.atomic():
            placed = Order.objects.create()
            mail = threading.Thread(target=send, args=[placed.pk])
            if fixed:
                transaction.on_commit(mail.start)
            else:
                mail.start()
        return HttpResponse("ordered")

    def mails(request: Any) -> JsonResponse:
        return JsonResponse({"sent": sent})

    return serve(path("order", order), path("mails", mails))


@bug(make_mails, budget=500, preempt="gates", shows="sent: \\['no such order'\\]")
def read_before_commit(sim: Any) -> None:
    """A thread is started in a transaction, and looks for what is not committed yet (on_commit)."""
    order = sim.post("/order")
    sim.settle()
    assert order.status == 200
    sent = ask(sim, "/mails").json()["sent"]
    assert sent == ["order 1"], "sent: %s" % sent


def make_payments(fixed: bool) -> WSGIHandler:
    def bank() -> None:
        time.sleep(6)

    def pay(request: Any) -> HttpResponse:
        if fixed:
            bank()
        with transaction.atomic():
            Order.objects.create()
            if not fixed:
                bank()
        return HttpResponse("paid")

    return serve(path("pay", pay))


@bug(make_payments, budget=10, preempt="gates", shows="paid: \\[.*500")
def slow_in_transaction(sim: Any) -> None:
    """A slow call is made in a transaction, and others wait longer for the database than they may."""
    both = sim.post("/pay"), sim.post("/pay")
    sim.advance(20)
    statuses = answered(*both)
    assert statuses == [200, 200], "paid: %s" % statuses


def make_reservations(fixed: bool) -> WSGIHandler:
    def reserve(request: Any) -> HttpResponse:
        with transaction.atomic():
            product = Product.objects.get(pk=1)
            product.stock -= 1
            product.save()
        return HttpResponse("reserved")

    def stock(request: Any) -> HttpResponse:
        return HttpResponse(Product.objects.get(pk=1).stock)

    return serve(path("reserve", reserve), path("stock", stock), transactions="IMMEDIATE" if fixed else None)


@bug(make_reservations, budget=100, preempt="gates", shows="reserved: \\[.*500")
def both_read_then_write(sim: Any) -> None:
    """Two transactions read, and then neither can write: SQLite tells one at once that the database is locked."""
    both = sim.post("/reserve"), sim.post("/reserve")
    sim.settle()
    statuses = answered(*both)
    assert statuses == [200, 200], "reserved: %s" % statuses
    assert ask(sim, "/stock").text == "8"


class Users:
    """There is one of it for all requests, whatever their threads."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        self.user = ""

    def __call__(self, request: Any) -> Any:
        self.user = request.headers.get("X-User", "")
        response = self.get_response(request)
        response["X-User"] = self.user
        return response


class FixedUsers(Users):
    def __call__(self, request: Any) -> Any:
        user = request.headers.get("X-User", "")
        response = self.get_response(request)
        response["X-User"] = user
        return response


def make_profile(fixed: bool) -> WSGIHandler:
    def profile(request: Any) -> HttpResponse:
        return HttpResponse("a profile")

    return serve(path("", profile), middleware=["%s.%s" % (__name__, "FixedUsers" if fixed else "Users")])


@bug(make_profile, budget=1000, preempt="gil", shows="ann is told: bob|bob is told: ann")
def kept_on_middleware(sim: Any) -> None:
    """A middleware keeps what is of one request on itself."""
    both = {name: sim.get("/", headers={"X-User": name}) for name in ("ann", "bob")}
    sim.settle()
    for name, one in both.items():
        told = one.response.header("x-user")
        assert told == name, "%s is told: %s" % (name, told)
