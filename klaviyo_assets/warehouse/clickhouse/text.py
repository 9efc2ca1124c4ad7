"""Statements as ClickHouse reads them, which come as every database understands them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

TIMESTAMP = "DateTime64(6, 'UTC')"

_TOKEN = re.compile(
    r"""(?P<moment>TIMESTAMP\s+'[^']*')|(?P<name>"(?:[^"]|"")*")|(?P<text>'(?:[^']|'')*')|(?P<mark>\?)"""
    r"""|(?P<timestamp>\bAS\s+TIMESTAMP\s*\))|(?P<date>\bAS\s+DATE\s*\))|(?P<word>\b_\w+)""",
    re.IGNORECASE,
)


@lru_cache(maxsize=512)
def _parts(statement: str) -> tuple[tuple[str, str | None], ...]:
    """Return the parts of a statement, each with the kind of what it is; None: it stays as it is."""
    found, end = list[tuple[str, str | None]](), 0
    for token in _TOKEN.finditer(statement):
        found += [(statement[end : token.start()], None), (token.group(), token.lastgroup)]
        end = token.end()
    return (*found, (statement[end:], None))


def written(
    statement: str, parameters: Sequence[Any] = (), relations: Mapping[str, str] | None = None
) -> tuple[str, dict[str, str]]:
    """Return a statement as ClickHouse reads it, and its parameters by the names that they have in it.

    relations: name of a temporary relation -> what it is called in the database.
    """
    values, named, out = iter(parameters), dict[str, str](), list[str]()
    for part, kind in _parts(statement):
        if kind == "mark":
            out.append(_bound(next(values), named))
        elif kind == "word":
            out.append((relations or {}).get(part, part))
        else:
            out.append(_WRITTEN[kind](part) if kind else part)
    return "".join(out), named


_WRITTEN: dict[str, Callable[[str], str]] = {
    "moment": lambda part: f"toDateTime64({part[part.index(chr(39)) :]}, 6, 'UTC')",
    "name": lambda part: part.replace("\\", "\\\\"),  # a backslash escapes what comes after it
    "text": lambda part: part.replace("\\", "\\\\"),
    "timestamp": lambda part: f"AS {TIMESTAMP})",
    "date": lambda part: "AS Date32)",
}


def _bound(value: Any, named: dict[str, str]) -> str:
    if value is None:
        return "NULL"
    name = f"p{len(named)}"
    kind, named[name] = _typed(value)
    return f"{{{name}:{kind}}}"


def _typed(value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return "Bool", str(value).lower()
    if isinstance(value, int):
        return "Int64", str(value)
    if isinstance(value, float):
        return "Float64", repr(value)
    if isinstance(value, dt.datetime):
        return TIMESTAMP, f"{value:%H:%M:%S.%f}".join((f"{value.date().isoformat()} ", ""))
    if isinstance(value, dt.date):
        return "Date32", value.isoformat()
    return "String", str(value)
