"""The simulated accounts that are measured: many events or profiles of known size, and little else."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from functools import lru_cache
from typing import Any, Literal

import msgspec

from klaviyo_assets.sandbox.account import Account, Clock, Resource, format_datetime
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed

Shape = Literal["narrow", "wide", "mix"]
"""`narrow`: 10 properties, 1.28 kB as the API serves it. `wide`: 60 of 500 names. `mix`: as shops have it, 20 metrics
with 15 to 40 properties each, of 400 names, every property in nine of ten events, some of them lists, also of items."""

DAYS = 90
METRICS: dict[Shape, int] = {"narrow": 12, "wide": 12, "mix": 20}
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def make_account(*, events: int = 0, profiles: int = 0, shape: Shape = "narrow", now: dt.datetime) -> Account:
    """Return an account whose events lie in the 90 days before `now`, a third of them in bursts."""
    rng = random.Random(1)
    account = Account(Clock(now))
    for number in range(METRICS[shape]):
        stamp = format_datetime(now - dt.timedelta(days=1000))
        attributes = {"name": f"Metric {number}", "created": stamp, "updated": stamp, "integration": None}
        account.add(Resource("metric", _metric(number), attributes))
    add_events(account, events, shape=shape, end=now - dt.timedelta(minutes=5), days=DAYS, rng=rng)
    for number in range(profiles):
        account.add(_profile(number, now, rng))
    return account


def add_events(
    account: Account, count: int, *, shape: Shape, end: dt.datetime, days: float, rng: random.Random, first: int = 0
) -> None:
    """Add events of the days before `end`; `first` keeps their ids apart from those that are there."""
    latest, span = int(end.timestamp()), int(days * 86_400)
    bursts = [latest - rng.randrange(span) for _ in range(20)]
    for number in range(first, first + count):
        at = rng.choice(bursts) + rng.randrange(600) if number % 3 == 0 else latest - rng.randrange(span)
        account.add_event(
            _metric(number % METRICS[shape]),
            min(at, latest),
            profile_id=f"01{number % 50_000:024d}",
            properties=msgspec.json.encode(_properties(number, shape, rng)),
            id=event_id(number),
        )


def event_id(number: int) -> str:
    """Return an id that tells nothing about time, as Klaviyo's do."""
    value = int.from_bytes(hashlib.blake2b(number.to_bytes(8, "big"), digest_size=8).digest(), "big")
    digits = []
    for _ in range(11):
        value, digit = divmod(value, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def _metric(number: int) -> str:
    return f"Mtrc{number:02d}"


def _properties(number: int, shape: Shape, rng: random.Random) -> dict[str, Any]:
    if shape == "wide":
        return {f"Field {field}": _value(field, number) for field in rng.sample(range(500), 60)}
    if shape == "mix":
        fields = (field for field in _fields(number % METRICS[shape]) if rng.random() < 0.9)
        return {f"Field {field}": _nested(field, number) or _value(field, number) for field in fields}
    return {
        "$event_id": f"{number:032d}",
        "$value": number % 10_000 / 100,
        "Campaign Name": f"Campaign {number % 40}: the autumn collection is here",
        "Subject": f"Number {number % 90}: everything that you wanted to know about tea",
        "Email Domain": ("example.com", "example.org", "example.net")[number % 3],
        "machine_open": number % 4 == 0,
        "Item Count": number % 7,
        "Items": [f"Product {number % 300}", f"Product {number % 301}"],
        "URL": f"https://shop.example/products/{number % 300}?utm_source=klaviyo&utm_medium=email&utm_id={number}",
        "Ordered At": f"2026-0{1 + number % 9}-1{number % 10}T10:{number % 60:02d}:00+00:00",
    }


@lru_cache
def _fields(metric: int) -> list[int]:
    """Return the properties of a metric of the `mix`."""
    rng = random.Random(metric)
    return rng.sample(range(400), rng.randint(15, 40))


def _nested(field: int, number: int) -> Any:
    """Return what a property holds, if that is a list: of items, or of their names."""
    products = range(number % 300, number % 300 + 1 + field % 3)
    if field % 20 == 7:
        return [f"Product {product}" for product in products]
    if field % 20 == 12:
        return [{"ProductID": product, "SKU": f"SKU-{product}", "ProductName": f"Product {product}", "Quantity": 1,
                 "ItemPrice": product / 4, "Categories": ["Tea", "Autumn"]} for product in products]  # fmt: skip
    return None


def _value(field: int, number: int) -> Any:
    match field % 5:
        case 0:
            return number % 1000
        case 1:
            return number % 1000 / 8
        case 2:
            return f"value {number % 500} of field {field}"
        case 3:
            return number % 2 == 0
        case _:
            return f"2026-03-{1 + number % 28:02d}T08:00:{number % 60:02d}+00:00"


def _profile(number: int, now: dt.datetime, rng: random.Random) -> Resource:
    created = now - dt.timedelta(seconds=rng.randrange(1000 * 86_400))
    updated = now - dt.timedelta(seconds=300 + rng.randrange(DAYS * 86_400))
    subscriptions = never_subscribed()
    subscriptions["email"]["marketing"].update(consent="SUBSCRIBED", can_receive_email_marketing=True)
    attributes = {
        "email": f"person.{number}@example.com",
        "phone_number": f"+1617{number % 10_000_000:07d}",
        "external_id": f"customer-{number}",
        "first_name": "Ada",
        "last_name": f"Number {number}",
        "organization": None,
        "locale": "en-US",
        "title": None,
        "image": None,
        "created": format_datetime(created),
        "updated": format_datetime(updated),
        "last_event_date": format_datetime(updated),
        "location": {
            "address1": f"{number % 900} Main Street", "address2": None, "city": "Boston", "country": "United States",
            "latitude": 42.36, "longitude": -71.06, "region": "MA", "zip": "02110", "timezone": "America/New_York",
            "ip": None,
        },
        "properties": {f"Trait {trait}": _value(trait, number) for trait in range(8)},
        "subscriptions": subscriptions,
    }  # fmt: skip
    return Resource("profile", f"01{number:024d}", attributes)
