"""Where requests are counted, told by an address: a Postgres database, or a Redis server."""

from __future__ import annotations

from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from klaviyo_assets.warehouse.location import server

WAREHOUSE = "warehouse"
"""The address that stands for the warehouse's own database."""

NONE = "none"
"""The address that says that there are no limits, as those of a simulated account."""

_REDIS = ("redis", "rediss")


class Place(NamedTuple):
    """Where requests are counted. text: the address without secrets. has_secret: whether there are any."""

    text: str
    has_secret: bool
    kind: Literal["postgres", "redis"]


def place(address: str) -> Place | None:
    """Read an address; return None if it names the warehouse, or no place.

    Raises ValueError, which does not repeat the address, if it is none.
    """
    address = address.strip()
    if address in ("", WAREHOUSE, NONE):
        return None
    if address.partition("://")[0].lower() in _REDIS:
        return _redis(address)
    try:
        found = server(address)
    except ValueError:
        found = None
    if found is None or found.kind != "postgres":
        raise ValueError(
            f"it has to be `{WAREHOUSE}`, `postgresql://user@host/database`, `service=name` or `redis://host:6379/0`; "
            "in a name or a password `@` is written %40, `/` %2F, `:` %3A, `?` %3F and `%` %25"
        )
    return Place(found.text, found.has_secret, "postgres")


def _redis(address: str) -> Place:
    parts = urlsplit(address)
    try:
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        at = f"{host}:{parts.port or 6379}"
    except ValueError:
        at = ""
    number = parts.path.strip("/") or "0"
    if not parts.hostname or not at or not number.isdecimal():
        raise ValueError("it is no address of a Redis server, such as redis://host:6379/0")
    if parts.query or parts.fragment:
        raise ValueError("the address of a Redis server has no `?` here: redis://host:6379/0, rediss:// with TLS")
    # A name alone is mostly a password whose colon was forgotten.
    has_secret = bool(parts.username or parts.password)
    return Place(f"{parts.scheme.lower()}://{at}/{number}", has_secret, "redis")
