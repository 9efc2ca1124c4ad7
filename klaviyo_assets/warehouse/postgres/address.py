"""Where a Postgres database is: a URL, `key=value` pairs of libpq, or the name of a libpq service."""

from __future__ import annotations

import re

from klaviyo_assets.warehouse.parameters import SECRET

_SCHEME = re.compile(r"^postgres(?:ql)?://", re.IGNORECASE)
_USER = re.compile(r"^(?P<scheme>[^:]+://)(?P<user>[^:@/?#]*)(?::(?P<password>.*))?@(?P<rest>[^@]*)$", re.DOTALL)
_PARAMETER = re.compile(rf"(?P<before>^|[?&\s])[\w%]*{SECRET}\s*=\s*(?:'(?:[^'\\]|\\.)*'|[^&\s]*)", re.IGNORECASE)


def is_postgres(address: str) -> bool:
    """Return whether an address is that of a Postgres database: a URL, or `service=name`."""
    return bool(_SCHEME.match(address.strip())) or address.strip().startswith("service=")


def shown(address: str) -> str:
    """Return an address as it may be told: without its password."""
    found = _USER.match(address.strip())
    if found and _SCHEME.match(found["scheme"]):
        address = f"{found['scheme']}{found['user']}@{found['rest']}"
    return _PARAMETER.sub(lambda match: match["before"], address).strip().replace("?&", "?").rstrip("?&")
