"""Types and times in Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import FIRST_SECOND, LAST_SECOND

ARROW_TYPES: dict[Type, pa.DataType] = {
    Type.BOOLEAN: pa.bool_(),
    Type.BIGINT: pa.int64(),
    Type.DOUBLE: pa.float64(),
    Type.DATE: pa.date32(),
    Type.TIMESTAMP: pa.timestamp("us"),
    Type.TEXT: pa.string(),
    Type.JSON: pa.string(),
}

_UTC = pa.timestamp("us", "UTC")


def timestamps(values: Sequence[Any] | pa.Array) -> pa.Array | None:
    """Convert a column of ISO texts, or one of whole epoch seconds, in UTC; None if it holds anything else.

    Also if one of them is before the year 1 or after 9999 there: Arrow has such times, hardly anybody else.
    """
    try:
        if not isinstance(values, pa.Array):
            if set(map(type, values)) <= {int, type(None)}:
                seconds = list(filter(None, values))
                if min(seconds, default=0) < FIRST_SECOND or max(seconds, default=0) > LAST_SECOND:
                    return None
                return pa.array(values, pa.int64()).cast(pa.timestamp("s")).cast(ARROW_TYPES[Type.TIMESTAMP])
            values = pa.array(values, pa.string())
        times = values.cast(_UTC).cast(ARROW_TYPES[Type.TIMESTAMP])
        ends = pc.min_max(times.cast(pa.int64()))
        first, last = ends["min"].as_py(), ends["max"].as_py()
        in_range = first is None or (first >= FIRST_SECOND * 10**6 and last < (LAST_SECOND + 1) * 10**6)
        return times if in_range else None
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
