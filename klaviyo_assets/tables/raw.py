"""Single property values, from their JSON text."""

from __future__ import annotations

import math
import re

import msgspec
from msgspec import Raw

from klaviyo_assets.schema.decoding import FAILURES
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE

NOTHING = (b"null", b'""')
_NUMERIC_TEXT = re.compile(
    r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
)


def number_of(value: Raw) -> tuple[float | None, bool]:
    """Return a property as a number, None if it is none, and whether the number says all that the property says.

    A number, or text like `84.50` and `1,258.54`. Null is no number and says nothing else either.
    """
    try:
        given = msgspec.json.decode(value)
        if given is None:
            return None, True
        if isinstance(given, str) and _NUMERIC_TEXT.fullmatch(given.strip()):
            number = float(given.strip().replace(",", ""))
        elif isinstance(given, int | float) and not isinstance(given, bool):
            number = float(given)
        else:
            return None, False
    except (*FAILURES, OverflowError):  # beyond the largest double, or nested too deep
        return None, False
    if not math.isfinite(number):
        return None, False
    return number, isinstance(given, float) or abs(number) < EXACT_IN_DOUBLE


def raw_text(value: Raw | None) -> str | None:
    """Return a property as text: a string as it is, anything else as its JSON; None for nothing."""
    if value is None:
        return None
    content = bytes(value)
    if content in NOTHING:
        return None
    return msgspec.json.decode(content, type=str) if content.startswith(b'"') else content.decode()
