"""Checks the variables that are given to the models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import available_timezones

from klaviyo_assets.models.project import TOLERANCE_VARIABLE, read_variables
from klaviyo_assets.settings.problems import Problem, similar

_COLUMN = {"name", "alias", "transform_sql", "datatype"}
_MEMBERS = {
    "klaviyo__event_pass_through_columns": _COLUMN,
    "klaviyo__person_pass_through_columns": _COLUMN,
    "klaviyo_sources": {"database", "schema", "name"},
}
"""Variables that are lists of mappings -> the members that these may have."""

_OF_DBT_KLAVIYO = re.compile(
    r"klaviyo_\w+_identifier|has_defined_sources|fivetran_\w+|surrogate_key_treat_nulls_as_empty_strings"
)

_KINDS = {list: "a list", dict: "a mapping", int: "a number", bool: "true or false", str: "a name"}

_WINDOW = "_attribution_window"
"""End of the names of numbers of hours, some of which are null unless they are given."""

_TIMEZONE = "klaviyo__timezone"
_NATIVE = "using_native_attribution"


def are_variables(given: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong with variables of the models: dbt itself takes any name, and does nothing with it."""
    known = read_variables()
    for name, value in given.items():
        if name not in known and _OF_DBT_KLAVIYO.fullmatch(str(name)):
            yield (name,), "dbt_klaviyo has it, these models do without"
        elif name not in known:
            yield (name,), f"the models have no such variable{similar(str(name), known)}"
        elif name.endswith(_WINDOW):
            if not (type(value) is int and value >= 0) and (value is not None or known[name] is not None):
                yield (name,), "it has to be a number of hours; 0 for a touch that earns no credit"
        elif name == TOLERANCE_VARIABLE:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                yield (name,), "it has to be a share, from 0 to 1"
        elif name == _TIMEZONE:
            if value is not None and value not in available_timezones():
                yield (name,), "it has to be a time zone, Europe/Copenhagen for one"
        elif name == _NATIVE:
            if value is not None and not isinstance(value, bool):
                yield (name,), f"it has to be {_KINDS[bool]}"
        elif (kind := type(known[name])) in _KINDS and (type(value) is not kind or value == ""):
            yield (name,), f"it has to be {_KINDS[kind]}"
        elif name in _MEMBERS:
            yield from _members(name, value)


def _members(name: str, value: list[Any]) -> Iterator[Problem]:
    known = _MEMBERS[name]
    for number, entry in enumerate(value):
        if isinstance(entry, Mapping):
            for member in entry:
                if member not in known:
                    yield (name, number, member), f"there is no such member{similar(str(member), known)}"
            if known is _COLUMN and not entry.get("name"):
                yield (name, number), "it needs the name of a column"
        elif not (isinstance(entry, str) and known is _COLUMN):
            yield (name, number), "it has to be a mapping"
