"""Statements as BigQuery reads them.

Names are in backticks, a text knows escapes, NEW is a reserved word, and a DELETE needs a condition.

https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import lru_cache

_FOLDED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_TOKEN = re.compile(
    r"""(?P<name>"(?:[^"]|"")*")|(?P<text>'(?:[^']|'')*')|(?P<mark>\?)|(?P<word>\b(?:VARCHAR|NEW|UNION)\b)""",
    re.IGNORECASE,
)
_DISTINCT_OR_ALL = re.compile(r"\s+(?:ALL|DISTINCT)\b", re.IGNORECASE)
_ESCAPES = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r"}
_ESCAPED = re.compile(r"[\\'\n\r]")
_DELETE = re.compile(r"\s*DELETE\b(?!.*\bWHERE\b)", re.IGNORECASE | re.DOTALL)


def fold(name: str) -> str:
    """Return a name in lower case: BigQuery's names of columns have no case."""
    return name.translate(_FOLDED)


def name(*parts: str) -> str:
    """Quote the parts of a name as BigQuery does, and join them with dots."""
    return ".".join("`" + part.replace("\\", r"\\").replace("`", r"\`") + "`" for part in parts)


def text(value: str) -> str:
    """Quote a text as BigQuery does."""
    return "'" + _ESCAPED.sub(lambda found: _ESCAPES[found[0]], value) + "'"


@lru_cache(maxsize=1024)
def written(statement: str, nulls: tuple[bool, ...] = (), relations: tuple[tuple[str, str], ...] = ()) -> str:
    """Return a statement as BigQuery reads it.

    nulls: which of the parameters are NULL: a NULL has no type, so that it is written. relations: what is called by a
    name without quotes -> where it is.
    """
    marks = iter(nulls)

    def token(found: re.Match[str]) -> str:
        if quoted := found["name"]:
            return name(quoted[1:-1].replace('""', '"'))
        if quoted := found["text"]:
            return text(quoted[1:-1].replace("''", "'"))
        if found["mark"]:
            return "NULL" if next(marks, False) else "?"
        word = found["word"].upper()
        if word == "UNION":
            return word if _DISTINCT_OR_ALL.match(statement, found.end()) else "UNION DISTINCT"
        return "STRING" if word == "VARCHAR" else "`new`"

    changed = _TOKEN.sub(token, statement)
    for called, place in relations:
        changed = _placed(changed, called, place)
    return f"{changed} WHERE true" if _DELETE.match(statement) else changed


def _placed(statement: str, called: str, place: str) -> str:
    """Write where a relation is. It keeps its name for its columns, unless it has got another one."""
    pattern = rf"\b(FROM|JOIN|UPDATE|INTO)\s+{called}\b(\s+AS\b)?"

    def placed(found: re.Match[str]) -> str:
        named = found[2] or ("" if found[1].upper() == "INTO" else f" AS {called}")
        return f"{found[1]} {place}{named}"

    return re.sub(pattern, placed, statement, flags=re.IGNORECASE)


def places(relations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return relations as `written` takes them."""
    return tuple(sorted(relations.items()))
