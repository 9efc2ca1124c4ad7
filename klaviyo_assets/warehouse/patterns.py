"""Which texts say a value of another type: regular expressions, for databases that would fail or guess."""

from __future__ import annotations

from klaviyo_assets.schema.spec import Type

TRUE, FALSE = "('true', 't', 'yes', 'y', 'on', '1')", "('false', 'f', 'no', 'n', 'off', '0')"
"""SQL of the texts that say a BOOLEAN, in lower case."""

_DAY = (
    r"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    r"|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_ZONE = r"(?: ?(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?))?"

PATTERNS = {
    Type.BIGINT: r"^\s*[+-]?\d{1,18}\s*$",
    Type.DOUBLE: r"^\s*[+-]?(?:\d{1,300}(?:\.\d*)?|\.\d+)(?:[eE][+-]?[12]?\d)?\s*$",
    Type.DATE: rf"^{_DAY}$",
    Type.TIMESTAMP: rf"^{_DAY}[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?{_ZONE}$",
}
"""Type -> what a text looks like that says a value of it."""

EXACT_TIME = rf"^{_DAY}[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{{1,6}})?{_ZONE}$"
"""A time of no more than microseconds."""

NO_YEAR = "0000-%"
"""For LIKE: a day of the year 0, which no type has."""
