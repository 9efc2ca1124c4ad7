"""Reading JSON:API documents: the parts that the mappings of all families share.

A document is one parsed page, `{"data": [...], "included": [...]}`. Any relationship, attribute or `included`
may be null or missing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Table name -> its rows, one per primary key."""

T = TypeVar("T")

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def decoded(decoder: msgspec.json.Decoder[T], content: bytes) -> T:
    r"""Decode a page, with U+FFFD in place of half a surrogate pair (`"\ud83d"`), which JSON parsers refuse.

    Raises msgspec.DecodeError if the page is no JSON, msgspec.ValidationError if it has another shape.
    """
    try:
        return decoder.decode(content)
    except msgspec.DecodeError:
        repaired = _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], content)
        if repaired == content:
            raise
        return decoder.decode(repaired)


def instant(value: str | float) -> dt.datetime:
    """Read a time of the API: epoch seconds or ISO text (`T` or a space, any precision; no zone means UTC).

    Raises ValueError for anything else.
    """
    if not isinstance(value, str):
        return dt.datetime.fromtimestamp(value, dt.UTC)
    moment = dt.datetime.fromisoformat(value)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def resources(document: Mapping[str, Any]) -> list[Row]:
    """Return the primary resources, whether `data` holds many, one or none."""
    data = document.get("data") or []
    return data if isinstance(data, list) else [data]


def included(document: Mapping[str, Any], type: str) -> dict[str, Row]:
    """Return id -> resource of the included resources of one type."""
    return {item["id"]: item for item in document.get("included") or [] if item.get("type") == type}


def attributes(resource: Mapping[str, Any]) -> Row:
    """Return the attributes, {} if there are none."""
    return mapping(resource.get("attributes"))


def mapping(value: Any) -> Row:
    """Return `value` if it is an object, else {}: for members that may be null or missing."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Row]:
    """Return the objects of a list that may be null or missing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def related_ids(resource: Mapping[str, Any], name: str) -> list[str]:
    """Return the ids of a relationship, in order; [] if the page has no data for it."""
    data = mapping(mapping(resource.get("relationships")).get(name)).get("data") or []
    return [item["id"] for item in (data if isinstance(data, list) else [data]) if item.get("id")]


def related_id(resource: Mapping[str, Any], name: str) -> str | None:
    """Return the id of a to-one relationship, None if there is none."""
    return next(iter(related_ids(resource, name)), None)


def linked(document: Mapping[str, Any], relationship: str, type: str) -> dict[str, Row]:
    """Return id -> resource of the included resources of one type, and of those that a relationship names.

    One that the page names but does not include is `{"id": id}`: it exists, so its row must not vanish.
    """
    found = included(document, type)
    for resource in resources(document):
        for key in related_ids(resource, relationship):
            found.setdefault(key, {"id": key})
    return found


def identifier(value: Any) -> Any:
    """Return an id, with None in place of an empty string."""
    return None if value == "" else value


def latest(rows: Iterable[Row], *key: str, by: Callable[[Row], Any] | None = None) -> list[Row]:
    """Return one row per key, the last (or the one with the largest `by`); rows without a full key are left out."""
    kept: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        values = tuple(row[name] for name in key)
        if None in values or "" in values:
            continue
        if by is None or values not in kept or by(row) >= by(kept[values]):
            kept[values] = row
    return list(kept.values())


def row_of(resource: Mapping[str, Any], columns: Iterable[str], paths: Mapping[str, str] | None = None) -> Row:
    """Return a row with the `id` of a resource and the attributes that its columns are named after.

    paths: column -> dotted path below `attributes`, for columns that have another name than their attribute.
    """
    row: Row = {}
    for column in columns:
        value: Any = attributes(resource)
        for name in (paths or {}).get(column, column).split("."):
            value = mapping(value).get(name)
        row[column] = value
    row["id"] = resource.get("id")
    return row
