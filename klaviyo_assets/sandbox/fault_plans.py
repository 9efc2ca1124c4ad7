"""Plans of faults: which request meets which fault, decided by a seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from random import Random
from typing import Any

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.faults import (
    Call,
    Document,
    Drip,
    Fault,
    Html403,
    InvalidGzip,
    InvalidJson,
    OddPage,
    Reset,
    Slow,
    Status,
    Truncate,
)

Choice = Callable[[Account, Call], Fault | None]

ELSEWHERE = "http://127.0.0.2:9"
"""Where a link leads that must not be followed."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)")


# Documents that say the same in other words, and links that lead nowhere


def spaced_times(document: dict[str, Any]) -> None:
    """Put a space in place of the `T` of the times of resources."""

    def spaced(value: Any) -> Any:
        return _TIME.sub(r"\1 \2", value) if isinstance(value, str) else value

    for resource in _resources(document):
        attributes = resource.get("attributes") or {}
        attributes |= {name: spaced(value) for name, value in attributes.items()}
        marketing = ((attributes.get("subscriptions") or {}).get("email") or {}).get("marketing") or {}
        for entry in [*(marketing.get("suppression") or []), *(marketing.get("list_suppressions") or [])]:
            entry["timestamp"] = spaced(entry["timestamp"])


def without_empty_members(document: dict[str, Any]) -> None:
    """Leave out relationships without data, and make the members null that are empty then."""
    for resource in _resources(document):
        relationships = resource.get("relationships") or {}
        full = {name: value for name, value in relationships.items() if value and value.get("data")}
        resource["relationships"] = full or None
        properties = (resource.get("attributes") or {}).get("event_properties")
        if properties is not None and not properties:
            resource["attributes"]["event_properties"] = None
    if not document.get("included"):
        document["included"] = None


def repeated_cursor(document: dict[str, Any]) -> None:
    """Let the page name itself as the one that follows, for ever."""
    links = document.get("links") or {}
    if links.get("next"):
        links["next"] = links["self"]


def link_to_another_host(document: dict[str, Any]) -> None:
    """Let the following page lie on another host."""
    links = document.get("links") or {}
    if links.get("next"):
        links["next"] = ELSEWHERE + "/api/" + links["next"].partition("/api/")[2]


def _resources(document: dict[str, Any]) -> list[dict[str, Any]]:
    data = document.get("data") or []
    return [*(data if isinstance(data, list) else [data]), *(document.get("included") or [])]


# What happens to the account while it is read


def change_a_row(account: Account, call: Call) -> None:
    """Change the profile that was updated last, between two pages of profiles."""
    if call.operation == "get_profiles" and "page[cursor]" in call.query:
        profile = max(account.all("profile"), key=lambda each: (str(each.attributes.get("updated")), each.id))
        account.update("profile", profile.id, title=f"Number {call.number}")


def delete_a_list(account: Account, call: Call) -> None:
    """Delete the list that has been listed and whose members are about to be read, first of all."""
    if call.operation == "get_profiles_for_list" and call.number == 1:
        id = call.path.split("/")[3]
        if account.get("list", id):
            account.delete("list", id)


def _story(tell: Callable[[Account, Call], None]) -> Choice:
    def choose(account: Account, call: Call) -> None:
        with account.lock:
            tell(account, call)

    return choose


def _always(fault: Fault) -> Choice:
    return lambda account, call: fault


TRANSPORT: dict[str, Choice] = {
    "429": _always(Status(429)),
    "429 with Retry-After": _always(Status(429, retry_after=2)),
    "429 for an hour": _always(Status(429, retry_after=3723)),
    **{str(status): _always(Status(status)) for status in (500, 502, 504)},
    "503": _always(Status(503, retry_after=1)),
    "524": _always(Status(524, body=b"<html>A timeout occurred</html>", content_type="text/html")),
    "challenge": _always(Html403()),
    "reset": _always(Reset()),
    "stall": _always(Slow(2.0)),
    "stall in the body": _always(Slow(2.0, body=True)),
    "slow bytes": _always(Drip(0.02)),
    "cut": _always(Truncate(0.7)),
    "broken JSON": _always(InvalidJson()),
    "half-valid gzip": _always(InvalidGzip()),
}
"""Name -> fault on the way."""

PAGES: dict[str, Choice] = {
    "oversized page": _always(OddPage(more=7)),
    "rows on strict bounds": _always(OddPage(loose=True)),
    "disorder": _always(OddPage(shuffled=True)),
    "repeated cursor": _always(Document(repeated_cursor)),
    "link to another host": _always(Document(link_to_another_host)),
    "times with a space": _always(Document(spaced_times)),
    "missing relationships": _always(Document(without_empty_members)),
    "row that changes": _story(change_a_row),
    "list that is deleted": _story(delete_a_list),
}
"""Name -> fault of the page, or of what happens to the account before it."""

KINDS = TRANSPORT | PAGES
SHARES = (0.1, 0.4, 0.9)


class FaultPlan:
    """A fault hook that is a mixture of kinds, the same for the same seed.

    A seed chooses one to five `kinds` (unless they are given), the `share` of requests that meet one, and for every
    request which: by its operation and number, so that it does not matter in which order threads ask.
    """

    def __init__(
        self, seed: int, account: Account, *, kinds: Collection[str] | None = None, share: float | None = None
    ) -> None:
        random = Random(seed)
        mixed = random.sample(sorted(KINDS), random.randint(1, 5))
        usual = random.choice(SHARES)
        self.seed = seed
        self.kinds = tuple(mixed if kinds is None else sorted(kinds))
        self.share = usual if share is None else share
        self._account = account
        if unknown := set(self.kinds) - set(KINDS):
            raise ValueError(f"there is no fault {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")

    def __call__(self, call: Call) -> Fault | None:
        """Choose the fault that a request meets, if any."""
        random = Random(f"{self.seed} {call.operation} {call.number}")
        if call.operation is None or not self.kinds or random.random() >= self.share:
            return None
        return KINDS[random.choice(self.kinds)](self._account, call)

    def __str__(self) -> str:
        return f"faults of seed {self.seed}: {', '.join(self.kinds)}, in {self.share:.0%} of the requests"
