"""Environment variables that were probably meant to be settings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

_ALIKE = 0.75
"""How alike two names are, from 0 to 1, of which one is taken for the other misspelt."""


def misspelt(variables: Mapping[str, str], names: Collection[str], prefix: str) -> dict[str, str]:
    """Return name -> value of the variables that are no setting but look like one: it would be ignored without a word.

    Others are left alone: keys and warehouses of several accounts, and what other programs call so.
    names: of the settings.
    """
    found = {}
    for variable, value in variables.items():
        name = variable.lower().removeprefix(prefix.lower())
        if not value or not variable.startswith(prefix) or name in names:
            continue
        alike = [each for each in names if not name.startswith("warehouse_") or each != "warehouse"]
        if difflib.get_close_matches(name, alike, n=1, cutoff=_ALIKE):
            found[name] = value
    return found
