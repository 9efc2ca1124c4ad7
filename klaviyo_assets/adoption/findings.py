"""What is said of a schema before it is taken over."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What a finding means for the adoption.

    PROBLEM keeps it from being made. CHOICE is for the user to look at before. ALTERED is changed by the adoption
    itself, LATER by the syncs that follow. KEPT stays as it is.
    """

    PROBLEM = "problem"
    CHOICE = "choice"
    ALTERED = "altered"
    LATER = "later"
    KEPT = "kept"


@dataclass(frozen=True)
class Finding:
    """One thing that is different from what a sync makes. table: without a schema, None: the schema itself."""

    kind: Kind
    table: str | None
    text: str
