"""Klaviyo's filter language (https://developers.klaviyo.com/en/docs/filtering_), built instead of concatenated.

    all_of(equals("messages.channel", "email"), greater_or_equal("updated_at", since))

A filter is a `str`, ready to be the `filter` parameter. Values become literals: strings are quoted and escaped; a
`datetime` must be aware and is written bare, in UTC, with `Z`; lists, booleans, numbers and None are written as such.
Anything else raises TypeError; a naive datetime or a malformed field name raises ValueError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

_FIELD = re.compile(r"[A-Za-z_$][\w$-]*(\.[\w$-]+)*", re.ASCII)
_SECOND = timedelta(seconds=1)

Literal: TypeAlias = "str | bool | int | float | date | datetime | Iterable[Literal] | None"


class Filter(str):
    """A filter expression. It is plain text to everyone else; the type says that it was built here."""

    __slots__ = ()


def equals(field: str, value: Literal) -> Filter:
    """`equals(field,value)`."""
    return _compare("equals", field, value)


def greater_than(field: str, value: Literal) -> Filter:
    """`greater-than(field,value)`."""
    return _compare("greater-than", field, value)


def greater_or_equal(field: str, value: Literal) -> Filter:
    """`greater-or-equal(field,value)`."""
    return _compare("greater-or-equal", field, value)


def less_than(field: str, value: Literal) -> Filter:
    """`less-than(field,value)`."""
    return _compare("less-than", field, value)


def less_or_equal(field: str, value: Literal) -> Filter:
    """`less-or-equal(field,value)`."""
    return _compare("less-or-equal", field, value)


def any_of(field: str, values: Iterable[Literal]) -> Filter:
    """`any(field,[values])`, the language's only "or". Raises ValueError if there are no values."""
    values = list(values)
    if not values:
        raise ValueError(f"any_of({field!r}) needs at least one value")
    return _compare("any", field, values)


def has(relationship: str) -> Filter:
    """`has(relationship)`: objects whose relationship is set, e.g. events whose metric still exists."""
    return Filter(f"has({_field(relationship)})")


def all_of(*filters: Filter | None) -> Filter:
    """All of them at once. None is left out; raises ValueError if nothing is left."""
    present = [f for f in filters if f is not None]
    if not present:
        raise ValueError("all_of() needs at least one filter")
    return Filter(",".join(present))


def between(field: str, lo: datetime, hi: datetime | None) -> Filter:
    """The half-open range [lo, hi); hi None leaves it open."""
    return all_of(greater_or_equal(field, lo), None if hi is None else less_than(field, hi))


def strictly_between(field: str, lo: datetime, hi: datetime | None) -> Filter:
    """For a field that knows only the strict > and <: [lo, hi) and one second more on either side.

    The caller drops the rows outside [lo, hi). Profiles' `updated` and `created` are such fields.
    """
    return all_of(greater_than(field, lo - _SECOND), None if hi is None else less_than(field, hi + _SECOND))


def _compare(operator: str, field: str, value: Literal) -> Filter:
    return Filter(f"{operator}({_field(field)},{_literal(value)})")


def _field(name: str) -> str:
    if not _FIELD.fullmatch(name):
        raise ValueError(f"{name!r} is not a field name of a Klaviyo filter")
    return name


def _literal(value: Literal) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} has no literal in a Klaviyo filter")
            return repr(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{value.isoformat()} has no time zone")
            return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
        case date():
            return value.isoformat()
        case list() | tuple() | set() | frozenset():
            return "[" + ",".join(_literal(item) for item in value) + "]"
        case _:
            raise TypeError(f"a {type(value).__name__} has no literal in a Klaviyo filter")
