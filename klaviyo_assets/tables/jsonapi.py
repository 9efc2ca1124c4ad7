"""Reading JSON:API documents: the parts that the mappings of all families share.

A document is one parsed page, `{"data": [...], "included": [...]}`. Any relationship or attribute may be null or
missing. What has another shape than JSON:API or Klaviyo's documentation say counts as missing, and
`klaviyo_assets.schema.lost.note` is told of it; so it is of a resource without any attributes, and of one that a page
names and does not include. Such a resource makes no row: the one that is there must not become one of NULLs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any

from klaviyo_assets.schema.decoding import text_of
from klaviyo_assets.schema.lost import UNDESCRIBED, UNIDENTIFIED, note

Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Table name -> its rows, one per primary key."""


def instant(value: Any) -> dt.datetime:
    """Read a time of the API: epoch seconds or ISO text (`T` or a space, any precision; no zone means UTC).

    Raises ValueError for anything else, and for what is before the year 1 or after 9999 in UTC.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value, dt.UTC)
        if isinstance(value, str):
            moment = dt.datetime.fromisoformat(value)
            return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{value!r:.60} is out of range") from error
    raise ValueError(f"{value!r:.60} is no time")


def instant_or_none(value: Any) -> dt.datetime | None:
    """Read a time of the API, None if it is none."""
    try:
        return instant(value)
    except ValueError:
        return None


def resources(document: Mapping[str, Any]) -> list[Row]:
    """Return the primary resources, whether `data` holds many, one or none. Each has an id, as text."""
    data = document.get("data") or []
    return _resources(data if isinstance(data, list) else [data], UNIDENTIFIED)


def described(document: Mapping[str, Any]) -> list[Row]:
    """Return the primary resources that have attributes. So a request may not ask for nothing but their ids."""
    return [resource for resource in resources(document) if _has_attributes(resource)]


def included(document: Mapping[str, Any], type: str) -> dict[str, Row]:
    """Return id -> resource of the included resources of one type, of which more than the ids was asked for."""
    return {id: item for id, item in _included(document, type).items() if _has_attributes(item)}


def _included(document: Mapping[str, Any], type: str) -> dict[str, Row]:
    found = document.get("included") or []
    if not isinstance(found, list):
        note(None, "included")
        return {}
    of_type = [item for item in found if not isinstance(item, dict) or item.get("type", type) == type]
    return {item["id"]: item for item in _resources(of_type, "included") if _has_type(item)}


def _has_attributes(resource: Row) -> bool:
    given = resource.get("attributes")
    if not given or not isinstance(given, dict):
        note(resource["id"], UNDESCRIBED)
        return False
    return True


def _has_type(item: Row) -> bool:
    if not item.get("type"):
        note(item["id"], "type")
    return bool(item.get("type"))


def _resources(items: Iterable[Any], place: str) -> list[Row]:
    found = []
    for item in items:
        id = text_of(item.get("id")) if isinstance(item, dict) else None
        if id is None:
            note(None, place)
        elif item["id"] is id:
            found.append(item)
        else:
            found.append({**item, "id": id})
    return found


def attributes(resource: Mapping[str, Any]) -> Row:
    """Return the attributes, {} if there are none."""
    return inside(resource, "attributes", below="")


def first_time(document: Mapping[str, Any], attribute: str) -> dt.datetime | None:
    """Return a time of the first primary resource that has it, None if none has."""
    times = (instant_or_none(attributes(resource).get(attribute)) for resource in resources(document))
    return next((time for time in times if time), None)


def inside(resource: Mapping[str, Any], path: str, below: str = "attributes.") -> Row:
    """Return the object at a dotted path below the attributes of a resource, {} if there is none."""
    value: Any = resource
    walked = ""
    for name in f"{below}{path}".split("."):
        walked = f"{walked}.{name}" if walked else name
        value = value.get(name)
        if not isinstance(value, dict):
            if value is not None:
                note(resource.get("id"), walked)
            return {}
    found: Row = value
    return found


def objects(resource: Mapping[str, Any], path: str) -> list[Row]:
    """Return the objects of a list at a dotted path below the attributes of a resource."""
    return listed(resource, path, dict)


def listed(resource: Mapping[str, Any], path: str, kind: type | UnionType) -> list[Any]:
    """Return the items of one kind of a list at a dotted path below the attributes; the list may be null or missing."""
    parent, _, name = f"attributes.{path}".rpartition(".")
    value = inside(resource, parent, below="").get(name)
    found = [item for item in value if isinstance(item, kind)] if isinstance(value, list) else []
    if value is not None and (not isinstance(value, list) or len(found) < len(value)):
        note(resource.get("id"), f"attributes.{path}")
    return found


def mapping(value: Any) -> Row:
    """Return `value` if it is an object, else {}: for members that may be null or missing."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Row]:
    """Return the objects of a list that may be null or missing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def related_ids(resource: Mapping[str, Any], name: str) -> list[str]:
    """Return the ids of a relationship, in order; [] if the page has no data for it."""
    data = inside(resource, f"relationships.{name}", below="").get("data") or []
    found = []
    for item in data if isinstance(data, list) else [data]:
        if not isinstance(item, dict):
            note(resource.get("id"), f"relationships.{name}")
        elif id := text_of(item.get("id")):
            found.append(id)
    return found


def related_id(resource: Mapping[str, Any], name: str) -> str | None:
    """Return the id of a to-one relationship, None if there is none."""
    return next(iter(related_ids(resource, name)), None)


def linked(document: Mapping[str, Any], relationship: str, type: str) -> dict[str, Row]:
    """Return what `included` does, if a relationship has to name no others: those that it names besides are noted."""
    there = _included(document, type)
    for key in named(document, relationship):
        if key not in there:
            note(key, "included")
    return {id: item for id, item in there.items() if _has_attributes(item)}


def named(document: Mapping[str, Any], relationship: str) -> list[str]:
    """Return the ids that a relationship of the primary resources names, each once."""
    return list(dict.fromkeys(key for each in resources(document) for key in related_ids(each, relationship)))


def identifier(value: Any) -> Any:
    """Return an id, with None in place of an empty string."""
    return None if value == "" else value


def latest(rows: Iterable[Row], *key: str, by: Callable[[Row], Any] | None = None) -> list[Row]:
    """Return one row per key, the last (or the one with the largest `by`); rows without a full key are left out.

    An object or a list in a key is its JSON text.
    """
    kept: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        values = tuple(row[name] for name in key)
        if None in values or "" in values:
            continue
        if any(isinstance(value, dict | list) for value in values):
            values = tuple(text_of(value) if isinstance(value, dict | list) else value for value in values)
            row = {**row, **dict(zip(key, values, strict=True))}
        if by is None or values not in kept or by(row) >= by(kept[values]):
            kept[values] = row
    return list(kept.values())


def row_of(resource: Mapping[str, Any], columns: Iterable[str], paths: Mapping[str, str] | None = None) -> Row:
    """Return a row with the `id` of a resource and the attributes that its columns are named after.

    paths: column -> dotted path below `attributes`, for columns that have another name than their attribute.
    """
    row: Row = {}
    own = attributes(resource)
    for column in columns:
        parent, _, name = (paths or {}).get(column, column).rpartition(".")
        row[column] = (inside(resource, parent) if parent else own).get(name)
    row["id"] = resource.get("id")
    return row
