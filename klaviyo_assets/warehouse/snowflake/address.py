"""Where a Snowflake database is: `snowflake://user@account/database?warehouse=...`, or the name of a connection.

The names of parameters are those of Snowflake's connector for Python, which finds named connections in its
`connections.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from klaviyo_assets.warehouse.parameters import is_secret, secrets_in

_URL = re.compile(
    r"snowflake://(?:(?P<user>[^:@/?\s]*)(?::(?P<password>[^@/?\s]*))?@)?(?P<account>[\w.-]+)(?::(?P<port>\d+))?"
    r"/(?P<database>[^/@?\s]+)/?(?:\?(?P<query>[^@\s]*))?",
    re.IGNORECASE,
)
_CONNECTION = re.compile(r"connection\s*=\s*(?P<name>[^\s'\"\\=;]+)\s*", re.IGNORECASE)
_SCHEME = re.compile(r"snowflake://|connection\s*=", re.IGNORECASE)
_NO_PERCENT = re.compile("%(?![0-9a-f]{2})", re.IGNORECASE)
_HOST = ".snowflakecomputing."


@dataclass(frozen=True)
class Address:
    """A database at Snowflake.

    text: without secrets. parameters: of the connector, secrets included. database: None if a named connection says it.
    place: the same for all addresses that tell the same database, whoever connects.
    """

    text: str
    parameters: Mapping[str, str]
    database: str | None
    place: str

    @property
    def has_secret(self) -> bool:
        """Whether the address that it comes from holds any."""
        return any(secrets_in(self.parameters))


def is_snowflake(address: str) -> bool:
    """Return whether an address is meant to be one of Snowflake's."""
    return bool(_SCHEME.match(address.strip()))


def parsed(address: str) -> Address:
    """Read an address; raise ValueError, which does not repeat it, if it is none of Snowflake's."""
    address = address.strip()
    if named := _CONNECTION.fullmatch(address):
        text = f"connection={named['name']}"
        return Address(text, {"connection_name": named["name"]}, None, text)
    url = _URL.fullmatch(address)
    if url is None or _NO_PERCENT.search(address):
        raise ValueError(
            "it is no address of a Snowflake database, such as snowflake://user@account/database?warehouse=name, or "
            "connection=name; in a name or a password `@` is written %40, `/` %2F, `:` %3A, `?` %3F and `%` %25"
        )
    given = dict(parse_qsl(url["query"] or "", keep_blank_values=True))
    if not given.get("port", "0").isdecimal():
        raise ValueError("its port has to be a number")
    database, account = unquote(url["database"]), url["account"]
    parameters = {"database": database} | _where(account, url["port"])
    if url["user"]:
        parameters["user"] = unquote(url["user"])
    if url["password"]:
        parameters["password"] = unquote(url["password"])
    parameters |= given
    told = "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items() if not is_secret(name, value))
    user = f"{url['user']}@" if url["user"] else ""
    port = f":{url['port']}" if url["port"] else ""
    text = f"snowflake://{user}{account}{port}/{url['database']}{'?' if told else ''}{told}"
    return Address(text, parameters, database, f"snowflake://{account.lower()}{port}/{database.upper()}")


def _where(account: str, port: str | None) -> dict[str, str]:
    """Return the account, and the host if that is told; the connector makes the host of an account's name."""
    if port or _HOST in account.lower():
        return {"account": account.partition(".")[0], "host": account} | ({"port": port} if port else {})
    return {"account": account}
