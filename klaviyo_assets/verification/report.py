"""What became of each promise, told so that it can be sent to strangers."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

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
_WORD = re.compile(r"[\w.-]{3,}")
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


def masked(text: str, settings: Settings) -> str:
    """Return a text without the names and secrets of the address of the warehouse."""
    told = [shown(settings.warehouse), os.environ.get(settings.url_variable or "", "")]
    words = {word.lower() for address in told for word in _words(address)} - _SAID_BY_ALL
    for word in sorted(words, key=len, reverse=True):
        text = re.sub(re.escape(word), "***", text, flags=re.IGNORECASE)
    return re.sub(r"[\w.-]+\.(?:snowflakecomputing\.com|clickhouse\.cloud|rds\.amazonaws\.com)", "***", text)


def _words(address: str) -> Iterable[str]:
    for found in _WORD.findall(address):
        yield found
        yield from (part for part in re.split(r"[.-]", found) if len(part) > 3)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
