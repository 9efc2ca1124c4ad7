"""Where a warehouse is, told by its address: a DuckDB file, or a database at MotherDuck or of a server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

from klaviyo_assets.warehouse.bigquery import address as bigquery
from klaviyo_assets.warehouse.clickhouse import address as clickhouse
from klaviyo_assets.warehouse.duckdb import location as duckdb
from klaviyo_assets.warehouse.parameters import is_secret, secrets_in
from klaviyo_assets.warehouse.snowflake import address as snowflake

Kind = Literal["duckdb", "postgres", "snowflake", "bigquery", "clickhouse"]

_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://(?:(?P<user>[^:@/\s]*)(?::(?P<password>[^@/\s]*))?@)?"
    r"(?P<hosts>(?:[\w.%~-]*|\[[0-9a-f:.%]+\])(?::\d*)?(?:,(?:[\w.%~-]*|\[[0-9a-f:.%]+\])(?::\d*)?)*)"
    r"(?:/(?P<database>[^/@?\s]*))?(?:\?(?P<query>[^@\s]*))?",
    re.IGNORECASE,
)
_SERVICE = re.compile(r"service\s*=\s*(?P<service>[^\s'\\=]+)\s*", re.IGNORECASE)
_PAIRS = re.compile(r"(service|host|hostaddr|port|dbname|user|password|sslmode|passfile)\s*=", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_NO_PERCENT = re.compile("%(?![0-9a-f]{2})", re.IGNORECASE)
_PORT_OF = re.compile(r"([^/]*):(\d*)")
_MISTYPED = re.compile(r"postgres(?:ql)?(?!://)\W.*@|(?!\w+://)\w+:?//[^/]*:[^/]*@", re.IGNORECASE)
_PORT = "5432"


@dataclass(frozen=True)
class Server:
    """The address of a database on a Postgres server, as libpq reads it, at Snowflake or BigQuery, or of ClickHouse.

    text: without secrets. has_secret: whether the address that it comes from holds any. database: None if the address
    does not tell. place: the same for all addresses that tell the same database, whoever connects.
    """

    text: str
    has_secret: bool
    database: str | None
    place: str
    kind: Kind = "postgres"


def kind_of(address: str) -> Kind:
    """Return the database that an address is of."""
    if snowflake.is_snowflake(address):
        return "snowflake"
    if bigquery.is_bigquery(address):
        return "bigquery"
    if clickhouse.is_clickhouse(address):
        return "clickhouse"
    return "postgres" if _PAIRS.match(address.strip()) or _scheme(address) else "duckdb"


def server(address: str) -> Server | None:
    """Read the address of a server; return None if it is one of DuckDB's.

    Raises ValueError, which does not repeat the address, if it is neither.
    """
    address = address.strip()
    if kind_of(address) == "duckdb":
        if address.lower().startswith("ducklake:"):
            raise ValueError("DuckLake is not supported: docs/databases.md says what is in the way")
        if _MISTYPED.match(address):
            raise ValueError("it looks like the URL of a server, which has `://`: `postgresql://user@host/database`")
        return None
    if snowflake.is_snowflake(address):
        at = snowflake.parsed(address)
        return Server(at.text, at.has_secret, at.database, at.place, "snowflake")
    if bigquery.is_bigquery(address):
        project = bigquery.parsed(address)
        return Server(project.text, project.has_secret, project.project, project.place, "bigquery")
    if clickhouse.is_clickhouse(address):
        on = clickhouse.parsed(address)  # its databases are what schemas are elsewhere
        return Server(on.text, on.has_secret, None, on.place, "clickhouse")
    if service := _SERVICE.fullmatch(address):
        return Server(f"service={service['service']}", False, None, f"service={service['service']}")
    if _PAIRS.match(address):
        raise ValueError("it has to be a URL (`postgresql://user@host/database`) or `service=name` alone")
    if _scheme(address) not in ("postgres", "postgresql"):
        raise ValueError(
            "it has to be a DuckDB file, `md:name`, `postgresql://user@host/database`, `service=name`, "
            "`snowflake://user@account/database`, `connection=name`, `bigquery://project` or `clickhouse://user@host`"
        )
    url = _URL.fullmatch(address)
    if url is None or _NO_PERCENT.search(address):
        raise ValueError(
            "it is no address of a Postgres server, such as postgresql://user@host/database; in a name or a password "
            "`@` is written %40, `/` %2F, `:` %3A, `?` %3F, `%` %25, and a space %20"
        )
    told = dict(parse_qsl(url["query"] or "", keep_blank_values=True))
    parts = [part for part in (url["query"] or "").split("&") if not is_secret(*_parameter(part))]
    user = url["user"] or ""
    query = "?" + "&".join(parts) if any(parts) else ""
    database = "" if url["database"] is None else f"/{url['database']}"
    text = f"{url['scheme'].lower()}://{user}{'@' if url['user'] is not None else ''}{url['hosts']}{database}{query}"
    name = told.get("dbname") or unquote(url["database"] or "") or None
    hosts = told.get("host") or told.get("hostaddr") or unquote(url["hosts"])
    place = "/".join((told.get("service", ""), _hosts(hosts, told.get("port")), name or unquote(user)))
    has_secret = bool(url["password"]) or any(secrets_in(told))
    return Server(text, has_secret, name, f"postgresql://{place}")


def located(address: str) -> str:
    """Return an address that is the same in every folder, without what may not be shown of a server's.

    Raises ValueError if it is no address.
    """
    found = server(address)
    return found.text if found else duckdb.located(address)


def shown(address: str) -> str:
    """Return an address as it may be told: without passwords and tokens, whatever is wrong with it."""
    try:
        found = server(address)
    except ValueError:
        scheme = _SCHEME.match(address.strip())
        return f"{scheme.group(0)}***" if scheme else "***"
    return found.text if found else duckdb.shown(address)


def place_of(address: str) -> str:
    """Return what is the same for all addresses of one database, as far as addresses tell."""
    found = server(address)
    return found.place if found else duckdb.located(address)


def _parameter(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return unquote(name), unquote(value)


def _scheme(address: str) -> str | None:
    found = _SCHEME.match(address.strip())
    return found.group(1).lower() if found else None


def _hosts(hosts: str, port: str | None) -> str:
    """Return hosts, one or several, each with its port."""
    found = []
    for host in hosts.split(","):
        name, own = host, ""
        if with_port := _PORT_OF.fullmatch(host):
            name, own = with_port.groups()
        found.append(f"{name.lower()}:{own or port or _PORT}")
    return ",".join(found)
