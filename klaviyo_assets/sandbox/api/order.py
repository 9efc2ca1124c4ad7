"""The order of a collection and the cursors that lead through it."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from klaviyo_assets.sandbox.account import Resource, format_datetime
from klaviyo_assets.sandbox.account.store import Store
from klaviyo_assets.sandbox.api.errors import ApiError, invalid
from klaviyo_assets.sandbox.api.filters import Condition, parse_datetime
from klaviyo_assets.sandbox.api.operation import Cursor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = -(2**62)
_MICROSECOND = timedelta(microseconds=1)

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A resource in a collection; `joined_at` is set for the members of a list or segment."""

    key: Key
    resource: Resource
    joined_at: datetime | None = None


def field_values(account: Store, row: Row, field: str) -> list[Any]:
    """What a filter field finds in a row: text, numbers, booleans; datetimes as text. Several for lists."""
    resource = row.resource
    match resource.type, field:
        case _, "id" | "ids" | "profile_id":
            return [resource.id]
        case "campaign", "messages.channel":
            ids = account.related("campaign", resource.id, "campaign-messages")
            messages = [account.get("campaign-message", each) for each in ids]
            return [value for each in messages if each for value in _walk(each.attributes, ["definition", "channel"])]
        case "campaign" | "campaign-message", "name" | "archived" | "builder" | "status":
            # In the definition since revision 2026-10-15.
            inside = field not in resource.attributes and resource.attributes.get("definition")
            return _walk(resource.attributes, ["definition", field] if inside else [field])
        case "campaign-message", "campaign_id":
            return account.related(resource.type, resource.id, "campaign")
        case "coupon-code", "coupon.id" | "profile.id":
            return account.related(resource.type, resource.id, field[:-3])
        case "push-token", "profile.id":
            return account.related(resource.type, resource.id, "profile")
        case "catalog-item", "category.id":
            return account.related(resource.type, resource.id, "categories")
        case "catalog-variant" | "review", "item.id":
            return account.related(resource.type, resource.id, "item")
        case "catalog-category", "item.id":
            return account.related(resource.type, resource.id, "items")
        case "profile", "push_token":
            ids = account.related("profile", resource.id, "push-tokens")
            return [account.resources["push-token"][each].attributes.get("token") for each in ids]
        case "profile", "joined_group_at":
            return [format_datetime(row.joined_at, microseconds=True)] if row.joined_at else []
        case "flow-action", "action_type":
            return [each.replace("-", "_").upper() for each in _walk(resource.attributes, ["definition", "type"])]
        case "flow-action", "status":
            return _walk(resource.attributes, ["definition", "data", "status"])
        case "flow-message", "name":
            return _walk(resource.attributes, ["definition", "name"])
        case "review", "status":
            return ["all", *_walk(resource.attributes, ["status", "value"])]
        case _:
            return _walk(resource.attributes, field.split("."))


def matches(account: Store, row: Row, conditions: tuple[Condition, ...]) -> bool:
    """Whether a row satisfies every condition."""
    for condition in conditions:
        values: list[Any] = field_values(account, row, condition.field)
        if condition.values and isinstance(condition.values[0], datetime):
            values = [parse_datetime(value) for value in values if value]
        if not any(condition.allows(value) for value in values):
            return False
    return True


def sort_key(account: Store, resource: Resource, fields: tuple[str, ...], joined_at: datetime | None) -> Key:
    """The place of a resource among others: the values of the sort fields (datetimes in microseconds), then the id."""
    row = Row((), resource, joined_at)
    return (*(_key_value(field_values(account, row, field), field) for field in fields), resource.id)


def datetime_key(moment: datetime) -> int:
    """A datetime as a sort value: microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def encode_cursor(row: Row, fields: tuple[str, ...], cursor: Cursor, *, tie: bool) -> str:
    """The cursor of the page behind a row: `next::field::value::id::value`, in base64 without padding.

    Where Klaviyo's own cursor lacks the id, it is written only if `tie`: if the next row has the same values.
    """
    parts = []
    for field, value in zip(fields, row.key, strict=False):
        parts += [cursor.name(field), _write(field, value)]
    values = "::".join(parts)
    if fields != ("id",) and (tie or (cursor.unique and fields != ("name",)) or "::id::" in values):
        values += f"::id::{row.resource.id}"
    return _encode(f"next::{values}")


def decode_cursor(text: str, fields: tuple[str, ...], cursor: Cursor) -> Key:
    """The key that a cursor points behind: without the id when the cursor has none. Raises `ApiError` 400."""
    mark, _, rest = _decode(text).partition("::")
    if mark != "next":
        raise _invalid_cursor()
    values: list[Any] = []
    for position, field in enumerate(fields):
        name = f"{cursor.name(field)}::"
        if not rest.startswith(name):
            raise _invalid_cursor()
        rest = rest[len(name) :]
        following = [f"::{cursor.name(each)}::" for each in fields[position + 1 :]] or ["::id::"]
        end = rest.rfind(following[0]) if field != "id" else -1
        values.append(_read(field, rest if end < 0 else rest[:end]))
        rest = "" if end < 0 else rest[end + 2 :]
    if rest.startswith("id::"):
        values.append(rest[4:])
    return tuple(values)


def after(rows: list[Row], key: Key | None, *, descending: bool) -> Iterator[Row]:
    """Rows behind a key, in order; all of them without one. `rows` are in ascending order."""
    if key is None:
        return reversed(rows) if descending else iter(rows)

    def prefix(row: Row) -> Key:
        return row.key[: len(key)]

    if descending:
        return iter(rows[: bisect_left(rows, key, key=prefix)][::-1])
    return iter(rows[bisect_right(rows, key, key=prefix) :])


def encode_event_cursor(second: int, id: str) -> str:
    """The cursor behind an event: the JSON `[second, id, true]`, base64 without padding."""
    return _encode(f'[{second}, "{id}", true]')


def decode_event_cursor(text: str) -> tuple[int, str]:
    """Second and id of the event that a cursor points behind. Raises `ApiError` 400."""
    try:
        second, event_id, _ = msgspec.json.decode(_decode(text), type=tuple[int, str, bool])
    except (msgspec.DecodeError, UnicodeError):
        raise _invalid_cursor() from None
    return second, event_id


def encode_report_cursor(groupings: Sequence[str]) -> str:
    """The cursor behind a result of a report: the JSON list of its groupings, base64 without padding."""
    return _encode(msgspec.json.encode(groupings).decode())


def decode_report_cursor(text: str) -> tuple[str, ...]:
    """The groupings that a cursor points behind. Raises `ApiError` 400."""
    try:
        return msgspec.json.decode(_decode(text), type=tuple[str, ...])
    except msgspec.DecodeError:
        raise _invalid_cursor() from None


def _walk(value: Any, path: list[str]) -> list[Any]:
    if isinstance(value, list):
        return [found for each in value for found in _walk(each, path)]
    if not path:
        return [value]
    return _walk(value.get(path[0]), path[1:]) if isinstance(value, dict) else []


def _is_date(field: str) -> bool:
    return field.endswith(("created", "updated", "_at", "timestamp"))


def _key_value(values: list[Any], field: str) -> Any:
    value = values[0] if values else None
    if _is_date(field):
        return _NEVER if value is None else datetime_key(parse_datetime(value))
    if field in ("rating", "size"):
        return -1.0 if value is None else float(value)
    return "" if value is None else str(value)


def _write(field: str, value: Any) -> str:
    if _is_date(field):
        return "None" if value == _NEVER else (_EPOCH + value * _MICROSECOND).isoformat(sep=" ")
    return str(value)


def _read(field: str, text: str) -> Any:
    try:
        if _is_date(field):
            return _NEVER if text == "None" else datetime_key(parse_datetime(text))
        return float(text) if field in ("rating", "size") else text
    except ValueError:
        raise _invalid_cursor() from None


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise _invalid_cursor() from None


def _invalid_cursor() -> ApiError:
    return invalid("Invalid cursor provided.")
