"""Folders with a warehouse, of each database: how they are begun, copied and opened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
from klaviyo_assets_tests.warehouse.databases import postgres_database, postgres_server

IN_POSTGRES = "service=warehouse"
SERVICE_FILE = "services"
"""Of libpq, in each folder of which the warehouse is on a server."""


class Folders(Protocol):
    """address: of the warehouse in the folder where a process is, whichever it is."""

    address: str

    def begin(self, folder: Path) -> None:
        """Make a folder's warehouse, which is empty."""

    def copy(self, template: Path, folder: Path) -> None:
        """Make a folder's warehouse like that of another folder."""

    def warehouse(self, folder: Path) -> Any:
        """Return a folder's warehouse, for any process."""

    def kept_open(self, warehouse: Any) -> AbstractContextManager[Any]:
        """Keep a warehouse open that is read often: opening it again costs nothing then."""


class InDuckDB:
    """The warehouse is a file of the folder."""

    address = "warehouse.duckdb"

    def begin(self, folder: Path) -> None:
        """There is no file until it is written."""

    def copy(self, template: Path, folder: Path) -> None:
        shutil.copy(template / self.address, folder)

    def warehouse(self, folder: Path) -> DuckDBWarehouse:
        return DuckDBWarehouse(database=str(folder / self.address))

    def kept_open(self, warehouse: DuckDBWarehouse) -> AbstractContextManager[Any]:
        return warehouse.connect()


class InPostgres:
    """The warehouse is a database of its own, which a service file in the folder names."""

    address = IN_POSTGRES

    def begin(self, folder: Path) -> None:
        self._name(folder, postgres_database(folder))

    def copy(self, template: Path, folder: Path) -> None:
        import psycopg

        url = urlsplit(postgres_database(folder))
        name, source = url.path[1:], urlsplit(postgres_database(template)).path[1:]
        with psycopg.connect(postgres_server(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name}".encode())
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
        self._name(folder, url.geturl())

    def warehouse(self, folder: Path) -> PostgresWarehouse:
        return PostgresWarehouse(address=postgres_database(folder))

    @contextmanager
    def kept_open(self, warehouse: PostgresWarehouse) -> Iterator[None]:
        yield

    def _name(self, folder: Path, url: str) -> None:
        from psycopg.conninfo import conninfo_to_dict

        lines = [f"{name}={value}" for name, value in conninfo_to_dict(url).items()]
        (folder / SERVICE_FILE).write_text("\n".join(["[warehouse]", *lines, ""]))


def url_in(folder: Path) -> str:
    """The address of a folder's warehouse that is on a server, for those that are not in the folder."""
    return " ".join((folder / SERVICE_FILE).read_text().splitlines()[1:])


FOLDERS: dict[str, Folders] = {"duckdb": InDuckDB(), "postgres": InPostgres()}
