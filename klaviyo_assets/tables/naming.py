"""Names of the columns that appear by themselves.

The rules are those of Fivetran's SDK 1.7.5, so that `property_` and `custom_` columns keep the names that an
existing warehouse has. Transliteration differs from theirs for a few scripts beyond Latin.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

from anyascii import anyascii

MAX_LENGTH = 255

_PLAIN = re.compile(r"[A-Za-z0-9_.-]*")
_NOT_A_WORD = re.compile(r"[^A-Za-z0-9_]")
_WORD_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[^0-9])|(?<=[^0-9])(?=[0-9])")
_UNDERSCORES = re.compile(r"_+")


@lru_cache(maxsize=1 << 16)
def column_name(key: str, prefix: str = "") -> str:
    """Return the column that the property `key` gets.

    The prefix is part of the name from the start: `column_name("$value", "property_")` is `property_value`.
    The result matches `[a-z_][a-z0-9_]*` and has at most 255 characters; a longer name is cut and ends in a
    hash of the key.
    """
    name = prefix + key
    if not _PLAIN.fullmatch(name):
        bare = "".join(c for c in unicodedata.normalize("NFD", name) if unicodedata.category(c) != "Mn")
        name = anyascii(unicodedata.normalize("NFC", bare))
    name = _NOT_A_WORD.sub("_", name)
    name = _UNDERSCORES.sub("_", _WORD_BOUNDARY.sub("_", name).lower())
    if not name or name[0].isdigit():
        name = "_" + name
    return name if len(name) <= MAX_LENGTH else with_hash(name, key)


def with_hash(name: str, key: str, taken: Collection[str] = ()) -> str:
    """Return `name` with a hash of `key` appended (8 hex digits, more if that name is taken as well)."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(8, len(digest) + 1):
        candidate = f"{name[: MAX_LENGTH - 1 - length]}_{digest[:length]}"
        if candidate not in taken:
            return candidate
    raise ValueError(f"no free column name for a property that shares the column {name}")


def column_names(keys: Collection[str], prefix: str) -> dict[str, str]:
    """Return key -> column for the properties of one row; no two keys share a column.

    Where names meet, the key that starts with `$` keeps the plain name, else the first in sorted order; each
    other one gets the name with a hash of its key. The result depends on nothing but the set of keys.
    """
    plain = [column_name(key, prefix) for key in keys]
    if len(set(plain)) == len(plain):
        return dict(zip(keys, plain, strict=True))
    names: dict[str, str] = {}
    taken: set[str] = set()
    displaced: list[str] = []
    for key in sorted(keys, key=lambda key: (not key.startswith("$"), key)):
        name = column_name(key, prefix)
        if name in taken:
            displaced.append(key)
        else:
            names[key] = name
            taken.add(name)
    for key in displaced:
        names[key] = with_hash(column_name(key, prefix), key, taken)
        taken.add(names[key])
    return names
