"""What who counts requests has in common."""

from __future__ import annotations

import hashlib

from klaviyo_assets.api import KlaviyoError


class NobodyCounts(KlaviyoError):
    """The server that counts the requests of all processes can't be reached, or refuses."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The requests of all processes are counted in {self.place}, as the setting `rate_limits` says, and that "
            f"fails: {self.reason} Mend it, or leave the setting out: then each process counts by itself."
        )


def account_of(api_key: str) -> str:
    """Return what stands for the account of a key: the same in each process, and nobody finds the key by it."""
    return hashlib.blake2b(api_key.encode(), digest_size=16, person=b"klaviyo_assets").hexdigest()
