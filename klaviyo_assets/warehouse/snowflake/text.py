"""Statements as Snowflake reads them.

Names have their case swapped: what is lower case here is upper case there, which unquoted names are, too. A name of a
user's that is lower case there, in quotes, is another one than ours. Texts know escapes, so that a backslash is two.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache

_UPPER, _LOWER = string.ascii_uppercase, string.ascii_lowercase
_FOLDED = str.maketrans(_UPPER, _LOWER)
_SWAPPED = str.maketrans(_UPPER + _LOWER, _LOWER + _UPPER)
_QUOTED = re.compile(r"""("(?:[^"]|"")*")|('(?:[^']|'')*')""")


def fold(name: str) -> str:
    """Return a name in lower case, as this project calls it."""
    return name.translate(_FOLDED)


def swapped(name: str) -> str:
    """Return a name as Snowflake stores it, or one of Snowflake's as this project calls it."""
    return name.translate(_SWAPPED)


@lru_cache(maxsize=512)
def written(statement: str) -> str:
    """Return a statement as Snowflake reads it."""
    return _QUOTED.sub(lambda found: swapped(found[1]) if found[1] else found[2].replace("\\", "\\\\"), statement)
