"""Where a ClickHouse server is: `clickhouse://user@host:8123/database`, `clickhouses://` or `?secure=true` with TLS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote

SECRETS = ("password", "access_token")
"""Parameters that nobody may see."""

_URL = re.compile(
    r"(?P<scheme>clickhouses?)://(?:(?P<user>[^:@/?\s]*)(?::(?P<password>[^@/?\s]*))?@)?"
    r"(?P<host>[\w.%~-]+|\[[0-9a-f:.%]+\])(?::(?P<port>\d+))?(?:/(?P<database>[^/@?\s]*))?(?:\?(?P<query>[^@\s]*))?",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"clickhouses?://", re.IGNORECASE)
_NO_PERCENT = re.compile("%(?![0-9a-f]{2})", re.IGNORECASE)
_YES = ("1", "true", "yes", "on")
_PORT, _SECURE_PORT = 8123, 8443
_OPTIONS = ("secure", "verify", "ca_cert", "client_cert", "client_cert_key", "compress", *SECRETS)
"""What may come after the `?`: names of clickhouse-connect's own parameters."""


@dataclass(frozen=True)
class Address:
    """A server. text: without secrets. options: of clickhouse-connect, with secrets. place: for whoever connects."""

    text: str
    host: str
    port: int
    secure: bool
    database: str | None
    options: Mapping[str, str] = field(hash=False)
    place: str

    @property
    def has_secret(self) -> bool:
        """Whether the address that it comes from holds any."""
        return any(self.options.get(name) for name in SECRETS)


def is_clickhouse(address: str) -> bool:
    """Return whether an address is meant to be one of ClickHouse."""
    return bool(_SCHEME.match(address.strip()))


def parsed(address: str) -> Address:
    """Read an address; raise ValueError, which does not repeat it, if it is none of ClickHouse."""
    url = _URL.fullmatch(address.strip())
    given = dict(parse_qsl(url["query"] or "", keep_blank_values=True)) if url else {}
    if url is None or _NO_PERCENT.search(address):
        raise ValueError(
            "it is no address of a ClickHouse server, such as clickhouse://user@host:8123/database, or with TLS "
            "clickhouses://user@host:8443/database; in a name or a password `@` is written %40, `/` %2F, `:` %3A, "
            "`?` %3F and `%` %25"
        )
    if unknown := sorted(given.keys() - set(_OPTIONS)):
        raise ValueError(f"it has parameters that nobody knows: {', '.join(unknown)}. Known are {', '.join(_OPTIONS)}")
    secure = url["scheme"].lower() == "clickhouses" or given.get("secure", "").lower() in _YES
    port = int(url["port"] or (_SECURE_PORT if secure else _PORT))
    options = {name: value for name, value in given.items() if name != "secure"}
    if url["user"]:
        options["username"] = unquote(url["user"])
    if url["password"]:
        options["password"] = unquote(url["password"])
    told = "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items() if name not in SECRETS)
    user = f"{url['user']}@" if url["user"] else ""
    path = f"/{url['database']}" if url["database"] else ""
    at = f":{url['port']}" if url["port"] else ""
    text = f"{url['scheme'].lower()}://{user}{url['host']}{at}{path}{'?' if told else ''}{told}"
    host = url["host"].strip("[]")
    return Address(
        text, host, port, secure, unquote(url["database"] or "") or None, options, f"clickhouse://{host.lower()}:{port}"
    )
