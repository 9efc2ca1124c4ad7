"""Whether an API key is of the account whose rows a warehouse holds: asked of Klaviyo, else told by ids of objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from klaviyo_assets.api import KlaviyoClient, NotPermitted
from klaviyo_assets.privacy.policy import DIGEST
from klaviyo_assets.tables.accounts import ACCOUNT_HISTORY
from klaviyo_assets.tables.jsonapi import resources
from klaviyo_assets.warehouse.errors import AnotherAccount
from klaviyo_assets.warehouse.results import AccountIdentity
from klaviyo_assets.warehouse.warehouse import Warehouse

SCOPE = "accounts:read"

_MOST_NAMED = 3


@dataclass(frozen=True)
class _Kind:
    """Objects whose ids no other account has. columns: where the warehouse has them, the best place first."""

    name: str
    operation: str
    path: str
    columns: tuple[tuple[str, str], ...]
    params: Mapping[str, str | int] = field(default_factory=dict)


_KINDS = (
    _Kind("metrics", "get_metrics", "/metrics", (("metric", "id"), ("event", "metric_id"))),
    _Kind("lists", "get_lists", "/lists", (("list", "id"), ("list_person", "list_id")), {"page[size]": 10}),
)


def confirm(client: KlaviyoClient, warehouse: Warehouse, ours: AccountIdentity | None, key_variable: str) -> str | None:
    """Make sure that a key may write to a warehouse, as far as anybody can tell; return a warning if that is not far.

    ours: the account of the key, None if Klaviyo does not tell it. key_variable: where the key comes from.
    Raises AnotherAccount if the warehouse holds the rows of another.
    """
    known = warehouse.account()
    if known and ours:
        if known.id != ours.id:
            raise AnotherAccount(warehouse.place, str(known), str(ours))
        return None
    seen = [] if known else sorted(_values(warehouse, ACCOUNT_HISTORY.name, "id"))
    if seen and ours:
        if ours.id not in seen:
            raise AnotherAccount(warehouse.place, ", ".join(seen), str(ours))
        return None
    theirs = str(known) if known else ", ".join(seen)
    _compare(client, warehouse, theirs, str(ours or f"that of {key_variable}"))
    if not theirs:
        return None
    return (
        f"Klaviyo does not say which account {key_variable} belongs to: the key lacks the scope {SCOPE}. "
        f"{warehouse.place} holds the account {theirs}; whether the key belongs to it shows only in ids of metrics and "
        "lists, if there are any. Give the key that scope."
    )


def _compare(client: KlaviyoClient, warehouse: Warehouse, theirs: str, ours: str) -> None:
    """Raise AnotherAccount if the account of the key has objects, and the warehouse has none of them but others."""
    for kind in _KINDS:
        there = next(filter(None, (_values(warehouse, *column) for column in kind.columns)), None)
        if not there:
            continue
        found: set[str] = set()
        try:
            for page in client.pages(kind.operation, kind.path, kind.params):
                found.update(resource["id"] for resource in resources(page.json()))
                if found & there:
                    return
        except NotPermitted:
            continue
        if found:
            raise AnotherAccount(
                warehouse.place,
                theirs or f"of the {kind.name} {_some(there)}",
                f"{ours}: it has none of the {kind.name} that the key reads ({_some(found)})",
            )


def _values(warehouse: Warehouse, table: str, column: str) -> set[str]:
    found = {str(value) for value in warehouse.values(table, column)}
    return set() if any(value.startswith(DIGEST) for value in found) else found


def _some(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:_MOST_NAMED]) + (", ..." if len(ids) > _MOST_NAMED else "")
