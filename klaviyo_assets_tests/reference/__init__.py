"""What is known of Klaviyo and of Fivetran's connector, as the tests read it (see README.md of this folder)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent


def recordings() -> list[Path]:
    """The files with recorded responses: `request`, and `response` with `status`, `headers` and `body`."""
    return sorted((FOLDER / "recorded").glob("*.json"))


def recorded(name: str) -> Any:
    """The body of a recorded response: `get_lists.200`."""
    return msgspec.json.decode((FOLDER / "recorded" / f"{name}.json").read_bytes())["response"]["body"]


LATEST = "2026-10-15"


@functools.cache
def openapi(revision: str = "") -> Any:
    """The part of Klaviyo's OpenAPI document that `trim` keeps: revision 2026-07-15, with operations that came later.

    revision: `LATEST` for what is other there, or there alone.
    """
    document, later = (
        msgspec.json.decode((FOLDER / f"klaviyo_openapi{name}.json").read_bytes()) for name in ("", "_later")
    )
    if revision:
        return later
    document["paths"] = later["paths"] | document["paths"]
    document["components"]["schemas"] = later["components"]["schemas"] | document["components"]["schemas"]
    return document


def destination() -> Any:
    """The tables and columns of Fivetran's connector, with their keys."""
    return msgspec.json.decode((FOLDER / "destination_erd.json").read_bytes())
