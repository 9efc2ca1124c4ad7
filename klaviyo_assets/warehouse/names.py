"""Names of columns that are longer than a database's names may be.

Such a name is cut, and ends in a hash of the whole one: the same in every load. A comment on the column has the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from klaviyo_assets.warehouse.spool import Spool

_DIGITS = 12
"""Of the hash: of a million names that share their beginning, two meet once in 500 databases."""

_COMMENT = "Cut by the database's limit on names, in full: "


def cut(name: str, longest: int) -> str:
    """Return a name that has at most so many bytes."""
    if len(name.encode()) <= longest:
        return name
    beginning = name.encode()[: longest - 1 - _DIGITS].decode(errors="ignore")
    return f"{beginning}_{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"


def fitting(spool: Spool, longest: int | None) -> tuple[Spool, dict[str, str]]:
    """Return a spool whose columns have names that fit, and the comments on those that were cut."""
    if longest is None:
        return spool, {}
    cuts = {name: cut(name, longest) for file in spool.files for name in file.types if len(name) * 4 > longest}
    changed = {name: short for name, short in cuts.items() if name != short}
    return spool.renamed(changed), {short: _COMMENT + name for name, short in changed.items()}


def whole_names(comments: Mapping[str, str]) -> dict[str, str]:
    """Return column -> whole name of those that were cut, from the comments on columns."""
    return {name: comment.removeprefix(_COMMENT) for name, comment in comments.items() if comment.startswith(_COMMENT)}
