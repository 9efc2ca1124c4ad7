"""The API revision that the client speaks, pinned here and nowhere else; `operations.LATER` has what it lacks."""

from __future__ import annotations

from datetime import date

REVISION = "2026-07-15"
WARNING_DAYS = 90


def revision_support(today: date) -> int:
    """Days from `today` until Klaviyo retires the pinned revision; negative once it is retired.

    A revision is supported for a year, deprecated for another, then retired. A request with a retired one does not
    fail: it silently gets the next revision that is still supported
    (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy).
    """
    released = date.fromisoformat(REVISION)
    return (released.replace(year=released.year + 2) - today).days
