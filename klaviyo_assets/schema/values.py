"""Values on their way from JSON to the types of tables."""

from __future__ import annotations

from typing import Any

import msgspec

EXACT_IN_DOUBLE = 2**53
"""Integers up to this size survive the way through a double."""


def json_text(value: Any) -> str:
    """Return the JSON text of a value; of JSON text (`msgspec.Raw`), the text that it is.

    Raises RecursionError if it is nested too deep.
    """
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else msgspec.json.encode(value).decode()
