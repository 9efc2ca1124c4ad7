"""SQL text that is the same in every database. No text from outside gets into a statement unquoted.

Statements have names in double quotes, and `?` for each parameter: a transaction writes them as its database does.
"""

from __future__ import annotations

from collections.abc import Iterable


def quote(*names: str) -> str:
    """Quote the parts of a name and join them with dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Quote a string, for the places that take no parameter."""
    return "'" + text.replace("'", "''") + "'"


def column_list(names: Iterable[str], relation: str | None = None) -> str:
    """Quote column names and join them with commas, each of `relation` if one is given."""
    return ", ".join(quote(relation, name) if relation else quote(name) for name in names)


def same_key(left: str, right: str, key: Iterable[str]) -> str:
    """Return the condition that two relations have the same key."""
    return " AND ".join(f"{quote(left, name)} = {quote(right, name)}" for name in key)
