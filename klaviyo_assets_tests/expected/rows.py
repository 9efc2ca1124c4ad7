"""Rows out of the objects of an account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from klaviyo_assets.sandbox.account import Account, Resource

Key = tuple[Any, ...]
Expected = dict[Key, dict[str, Any]]


def dig(value: Any, path: str) -> Any:
    """Follow a dotted path; None where it ends early."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def pick(resource: Resource, paths: Mapping[str, str]) -> dict[str, Any]:
    return {"id": resource.id} | {column: dig(resource.attributes, path) for column, path in paths.items()}


def keyed(rows: Iterable[dict[str, Any]], *key: str) -> Expected:
    return {tuple(row[name] for name in key): row for row in rows}


def same_names(names: str) -> dict[str, str]:
    """Columns that are named as their attributes are."""
    return {name: name for name in names.split()}


def one(account: Account, resource: Resource, name: str) -> str | None:
    """The id under a to-one relationship, whichever side it is stored on."""
    return next(iter(account.related(resource.type, resource.id, name)), None)


def resources(account: Account, type: str, paths: Mapping[str, str], **relations: str) -> Expected:
    """A row for every object of a type; `relations` maps a column to the relationship that holds its id."""
    return keyed(
        (
            {**pick(each, paths), **{column: one(account, each, name) for column, name in relations.items()}}
            for each in account.all(type)
        ),
        "id",
    )
