"""What an answer says of a rate limit: the headers `RateLimit-Limit`, `-Remaining` and `-Reset`.

Every answer but a 429 has them: `RateLimit-Limit: 350, 350;w=1, 3500;w=60`. The first number is the quota of the window
that the other headers speak of. Klaviyo documents it as that of a minute
(https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling); recorded answers have that of a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from klaviyo_assets.api.retries import http_date

_POLICY = re.compile(r"\b(\d{1,9})\s*;\s*w=(\d{1,9})\b")
_NUMBER = re.compile(r"\d{1,9}")


class Told(NamedTuple):
    """Of a window of so many seconds, of its quota so many requests were used, whoever made them.

    number: of the window; later ones have higher numbers.
    """

    seconds: int
    quota: int
    used: int
    number: int


def told(headers: Mapping[str, str]) -> Told | None:
    """Return what the headers of an answer say, None if they say nothing, or not when."""
    first = _NUMBER.match(headers.get("RateLimit-Limit", ""))
    remaining = _NUMBER.fullmatch(headers.get("RateLimit-Remaining", "").strip())
    at = http_date(headers.get("Date", ""))
    if first is None or remaining is None or at is None:
        return None
    quota = int(first[0])
    policies = {int(each[1]): int(each[2]) for each in reversed(list(_POLICY.finditer(headers["RateLimit-Limit"])))}
    seconds = policies.get(quota)
    if not seconds:
        return None
    return Told(seconds, quota, max(quota - int(remaining[0]), 0), int(at.timestamp()) // seconds)
