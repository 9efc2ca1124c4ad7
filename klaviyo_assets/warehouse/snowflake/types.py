"""Snowflake's types as its catalog tells them, by the names that the dialect has for them."""

from __future__ import annotations

import json
from typing import Any

_ANY_LENGTH = 16_777_216
"""Characters of a VARCHAR that was given no length; larger ones are allowed since 2025."""

_DIGITS = 9
"""Of the fraction of a second, where a type was given none."""

_NAMES = {"REAL": "FLOAT"}


def native(described: str) -> str:
    """Return the native type of a column, from the JSON that SHOW COLUMNS has for it.

    https://docs.snowflake.com/en/sql-reference/sql/show-columns
    """
    told: dict[str, Any] = json.loads(described)
    name = str(told["type"])
    if name == "FIXED":
        return f"NUMBER({told['precision']},{told['scale']})"
    if name == "TEXT":
        length = told.get("length") or _ANY_LENGTH
        return "VARCHAR" if length >= _ANY_LENGTH else f"VARCHAR({length})"
    if name.startswith("TIME"):
        scale = told.get("scale", _DIGITS)
        return name if scale == _DIGITS else f"{name}({scale})"
    return _NAMES.get(name, name)
