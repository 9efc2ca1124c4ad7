"""Addresses: built from paths and parameters, taken from links, given another page size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

Value = str | int | float | bool | Sequence[str] | None
Params = Mapping[str, Value]

_PAGE_SIZE = re.compile(r"(?<=[?&])page(?:\[|%5B)size(?:\]|%5D)=(\d+)(?:&|$)", re.IGNORECASE)


def build(base_url: str, path: str, params: Params | None) -> str:
    """The address of an unquoted path below `base_url`; sequences are joined by commas, None is left out."""
    url = f"{base_url}/{quote(path.lstrip('/'), safe='/:$,@')}"
    query = "&".join(
        f"{quote(name, safe='[]')}={quote(_text(value), safe='(),:[]')}"
        for name, value in (params or {}).items()
        if value is not None
    )
    return f"{url}?{query}" if query else url


def on_same_server(base_url: str, link: str) -> str | None:
    """The link as an absolute address, or None if it leads to another scheme, host or port, or names a user."""
    base = urlsplit(base_url)
    try:
        target = urlsplit(urljoin(base_url, link))
        same = (target.scheme, target.hostname, target.port) == (base.scheme, base.hostname, base.port)
    except ValueError:
        return None
    if not same or target.username is not None:
        return None
    # Put together anew: requests might read another host from an odd address than urlsplit does.
    return urlunsplit((base.scheme, base.netloc, target.path, target.query, ""))


def page_size(url: str) -> int | None:
    """The page size that an address asks for."""
    found = _PAGE_SIZE.search(url)
    return int(found[1]) if found else None


def with_page_size(url: str, size: int | None) -> str:
    """The address with another page size, or with none."""
    if size is not None:
        return _PAGE_SIZE.sub(lambda found: found[0].replace(f"={found[1]}", f"={size}"), url)
    return _PAGE_SIZE.sub("", url).rstrip("?&")


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return ",".join(value or ())
