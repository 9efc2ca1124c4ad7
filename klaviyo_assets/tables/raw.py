"""Single property values."""

from __future__ import annotations

import math
import re
from typing import Any

from klaviyo_assets.schema.values import EXACT_IN_DOUBLE

_NUMERIC_TEXT = re.compile(
    r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
)


def number_of(value: Any) -> tuple[float | None, bool]:
    """Return a property as a number, None if it is none, and whether the number says all that the property says.

    A number, or text like `84.50` and `1,258.54`. Null is no number and says nothing else either.
    """
    if value is None:
        return None, True
    try:
        if isinstance(value, str) and _NUMERIC_TEXT.fullmatch(value.strip()):
            number = float(value.strip().replace(",", ""))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
        else:
            return None, False
    except OverflowError:  # beyond the largest double
        return None, False
    if not math.isfinite(number):
        return None, False
    return number, isinstance(value, float) or abs(number) < EXACT_IN_DOUBLE
