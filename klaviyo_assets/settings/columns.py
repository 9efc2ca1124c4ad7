"""Checks the names of columns that are to be blocked or hashed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from klaviyo_assets.privacy.packing import PACKED
from klaviyo_assets.privacy.policy import HASHED_NAME
from klaviyo_assets.schema.spec import SYSTEM_COLUMNS
from klaviyo_assets.settings.problems import Problem, as_given, similar
from klaviyo_assets.tables.naming import column_name
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.tables.table import Table

_NEEDED = {
    "event": {"metric_id": "the reconciliation counts by it"},
    "person": {"created": "the search for deleted profiles goes by it"},
    "campaign_report": {"recipients": "the fullest of several numbers is kept by it"},
}
_GLOB = re.compile(r"[*?\[]")
_WILDCARDS = re.compile(r"([*?]|\[!?\]?[^\]]*\])")


def tables_exist(names: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong with names of tables."""
    known = {table.name for table in TABLES}
    for name in names:
        if name not in known:
            yield (name,), f"there is no such table{similar(str(name), known)}"


def are_switches(given: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong with tables that are to be turned on or off."""
    yield from tables_exist(given)
    for name, value in given.items():
        if not isinstance(value, bool):
            yield (name,), f"it has to be true or false, not {as_given(value)}"


def are_columns(given: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong with names or patterns of columns that are to be blocked or hashed."""
    yield from tables_exist(given)
    tables = {table.name: table for table in TABLES}
    for name, patterns in given.items():
        if not isinstance(patterns, list | tuple):
            yield (
                (name,),
                f"it has to be a list of columns, or of patterns such as custom_*phone*, not {as_given(patterns)}",
            )
            continue
        for number, pattern in enumerate(patterns):
            wrong: str | None = f"it has to be the name of a column, or a pattern, not {as_given(pattern)}"
            if isinstance(pattern, str) and pattern:
                wrong = _wrong(tables[name], pattern) if name in tables else None
            if wrong:
                yield (name, number), wrong


def _wrong(table: Table, pattern: str) -> str | None:
    needed = _needed(table)
    is_pattern = _GLOB.search(pattern) is not None
    for name, why in needed.items():
        if name == pattern:
            return f"{name} can be neither blocked nor hashed: {why}"
        if is_pattern and fnmatchcase(name, pattern):
            return f"{pattern} also names {name}, which can be neither blocked nor hashed: {why}"
    names = {*table.types} | ({PACKED[table.name].column} if table.name in PACKED else set())
    if any(fnmatchcase(name, pattern) for name in names):
        return None
    head = _GLOB.split(pattern)[0]
    prefix = table.dynamic or ""
    if prefix and (head.startswith(prefix) or (is_pattern and prefix.startswith(head))):
        return _misspelt(table, pattern)
    what = "no column that it matches" if is_pattern else f"no column {pattern}"
    return f"{table.name} has {what}{similar(pattern, names)}"


def _misspelt(table: Table, pattern: str) -> str | None:
    """Say what is wrong with a pattern that looks as if it named properties, but matches no name that they can have."""
    if pattern == table.overflow:
        return f"{pattern} holds the properties that the table has no column for: name those"
    parts = _WILDCARDS.split(HASHED_NAME.sub("", pattern))
    if (spelt := "".join(part if number % 2 else _spelt(part) for number, part in enumerate(parts))) == "".join(parts):
        return None
    return f"no property's column is called {pattern}; did you mean {spelt}? See docs/columns.md"


def _spelt(part: str) -> str:
    """Return a part of a name as it is spelt in names of columns."""
    if not part:
        return part
    return column_name(part).removeprefix("_" if part[0].isdigit() else "")


def _needed(table: Table) -> dict[str, str]:
    needed = {column.name: "the sync itself writes it" for column in SYSTEM_COLUMNS}
    needed |= _NEEDED.get(table.name, {})
    for name in (table.version, table.partitioned_by):
        if name:
            needed[name] = "the sync goes by it"
    return needed | dict.fromkeys(table.primary_key, "it is the key" if len(table.primary_key) == 1 else "it is a key")
