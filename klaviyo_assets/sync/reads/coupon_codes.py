"""Coupon codes, which the API shows only for given coupons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from klaviyo_assets.api import REVISION, KlaviyoClient, NotFound, any_of
from klaviyo_assets.sync.reads.reading import Account, concurrently
from klaviyo_assets.tables import coupons
from klaviyo_assets.tables.jsonapi import Rows, resources

LONGEST_FILTER = 5_000
"""Characters of coupon ids in a filter, percent-encoded; with the rest, the address stays below 6 kB."""

_AROUND = len("%22%22%2C")


def coupon_codes(account: Account) -> Iterator[Rows]:
    """Read the codes of every coupon, 100 a page; several groups of coupons at a time, one chain of pages each."""
    client = account.client
    query: dict[str, Any] = {"fields[coupon]": "external_id", "page[size]": 100}
    pages = client.pages("get_coupons", "/coupons", query, revision=REVISION)  # which no key is refused
    ids = [coupon["id"] for page in pages for coupon in resources(page.json())]
    yield from concurrently(
        (_codes(client, group) for group in groups(ids, client.max_concurrency)), client.max_concurrency
    )


def groups(ids: Sequence[str], least: int) -> list[list[str]]:
    """Divide coupon ids into `least` groups, or as many as the length of a filter requires."""
    found: list[list[str]] = []
    most, length = -(-len(ids) // least), 0
    for id in ids:
        cost = len(quote(id, safe="")) + _AROUND
        if not found or len(found[-1]) == most or length + cost > LONGEST_FILTER:
            found.append([])
            length = 0
        found[-1].append(id)
        length += cost
    return found


def _codes(client: KlaviyoClient, ids: Sequence[str]) -> Iterator[Rows]:
    query: dict[str, Any] = {
        "filter": any_of("coupon.id", ids),
        "include": "coupon",
        "fields[coupon]": "external_id",
        "page[size]": 100,
    }
    try:
        for page in client.pages("get_coupon_codes", "/coupon-codes", query):
            yield coupons.codes(page.json())
    except NotFound:
        # One of the coupons was deleted since they were listed: find out which.
        if len(ids) > 1:
            middle = len(ids) // 2
            yield from _codes(client, ids[:middle])
            yield from _codes(client, ids[middle:])
