"""Values on their way from JSON to the types of tables."""

from __future__ import annotations

from typing import Any

import msgspec

EXACT_IN_DOUBLE = 2**53
"""Integers up to this size survive the way through a double."""

FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Epoch seconds of the years 1 to 9999, the times that Python's datetime has."""


def json_text(value: Any) -> str:
    """Return the JSON text of a value; of JSON text (`msgspec.Raw`), the text that it is.

    Raises RecursionError if it is nested too deep.
    """
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else msgspec.json.encode(value).decode()
