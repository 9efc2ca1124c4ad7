"""What the warehouse needs to know of columns that are not written, or as digests only."""

from __future__ import annotations

from typing import Protocol

from klaviyo_assets.schema.columns import Columns


class Policy(Protocol):
    """Which columns of a table are not written (blocked), and which as digests (hashed)."""

    @property
    def fingerprint(self) -> str:
        """A short text that is another one for another policy."""

    @property
    def json_columns(self) -> tuple[str, ...]:
        """JSON columns to whose members the policy applies."""

    @property
    def digest_pattern(self) -> str:
        """A regular expression that digests match."""

    def blocks(self, column: str) -> bool:
        """Return whether a column is not written."""

    def hashes(self, column: str) -> bool:
        """Return whether a column is written as digests."""

    def apply(self, columns: Columns) -> Columns:
        """Return columns as they are to be written."""

    def digest(self, text: str) -> str:
        """Return the digest of a text."""

    def apply_to_json(self, column: str, text: str) -> str | None:
        """Return a value of one of the `json_columns` as it is to be written."""

    def is_old_json(self, column: str, text: str) -> bool:
        """Return whether a value of one of the `json_columns` holds what is not to be written."""
