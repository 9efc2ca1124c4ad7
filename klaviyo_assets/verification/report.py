"""What became of each promise, told so that it can be sent to strangers."""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal
from urllib.parse import unquote

from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import kind_of, shown

Outcome = Literal["holds", "broken", "not tried"]

_LIBRARIES = {
    "duckdb": ("duckdb",),
    "postgres": ("psycopg", "pgpq"),
    "snowflake": ("snowflake-connector-python",),
    "bigquery": ("google-cloud-bigquery",),
    "clickhouse": ("clickhouse-connect",),
}
_WORD = re.compile(r"[\w.-]{2,}")
_SHORT = 3
"""Letters of a word that is masked only where it is a word."""

_TOLD = re.compile(
    r"""(?P<before>(?:server\ at|host\ name)\ )"[^"]*"          # as libpq quotes them
    |(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)            # numbers of hosts
    |(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])
    |[\w.-]+\.(?:snowflakecomputing\.com|clickhouse\.cloud|rds\.amazonaws\.com)
    |[\w.+-]+@[\w-]+\.[\w.-]+
    |(?<![\w:/*])(?:/[^\s/:"']+)+(?=/)                                     # folders
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SAID_BY_ALL = {
    "snowflake", "bigquery", "clickhouse", "duckdb", "postgres", "postgresql", "clickhouses", "http", "https", "port",
    "warehouse", "connection", "database", "schema", "role", "location", "protocol", "secure", "host", "user",
    "account", "localhost", "data", "memory", "true", "false", "default", "sslmode", "require", "prefer", "verify",
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What became of a promise.

    name, promise: which one. seconds: that it took. steps: statements and loads. problem: why it is broken; the names
    of servers, accounts, databases and users in it are masked. last: the last step that was taken, if it is broken.
    """

    name: str
    promise: str
    outcome: Outcome
    seconds: float = 0.0
    steps: int = 0
    problem: str = ""
    last: str = ""


@dataclass
class Report:
    """What was tried on which database. None of it tells whose it is."""

    database: str
    server: str
    versions: dict[str, str]
    verdicts: list[Verdict] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def all_hold(self) -> bool:
        """Whether every promise was tried, and holds."""
        return bool(self.verdicts) and all(verdict.outcome == "holds" for verdict in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def versions(settings: Settings) -> dict[str, str]:
    """Return name -> version of what talks to the database."""
    kind = kind_of(settings.warehouse)
    names = dict.fromkeys(("klaviyo-assets", *_LIBRARIES[kind], "duckdb", "pyarrow", "dagster"))
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def masked(text: str, settings: Settings, names: Iterable[str] = ()) -> str:
    """Return a text without what tells whose database it is, and whose machine this is.

    That is what the address of the warehouse says, secrets included; names, which the server has for who connects;
    whatever looks like a host, a number of one, a folder or an email address; and the name of this machine.
    """
    text = _TOLD.sub(lambda found: f"{found['before'] or ''}***", text)
    addresses = [shown(settings.warehouse), os.environ.get(settings.url_variable or "", "")]
    words = {word for address in addresses for word in _words(address)} | {*names, socket.gethostname()}
    for word in sorted({word.lower() for word in words} - _SAID_BY_ALL, key=len, reverse=True):
        pattern = re.escape(word) if len(word) > _SHORT else rf"\b{re.escape(word)}\b"
        text = re.sub(pattern, "***", text, flags=re.IGNORECASE)
    return text


def _words(address: str) -> Iterable[str]:
    """Give the words of an address, as they are written there and as they are meant, and their parts."""
    parts = [unquote(part) for part in re.split("[:/@?&=]+", address)]
    for found in [*_WORD.findall(address), *(part for part in parts if len(part) > 1)]:
        yield found
        yield from (part for part in re.split(r"[.-]", found) if len(part) > _SHORT)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
