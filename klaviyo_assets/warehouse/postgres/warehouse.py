"""A warehouse in a Postgres database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.warehouse.errors import WarehouseError, WarehouseLocked, WarehouseUnusable
from klaviyo_assets.warehouse.postgres.address import shown
from klaviyo_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.postgres.connecting import Connection
    from klaviyo_assets.warehouse.postgres.session import PostgresSession

_LONGEST_SCHEMA = 63 - len(STAGING)

_VALUES = {
    "TimeZone": "'UTC'",
    "DateStyle": "'ISO, YMD'",
    "IntervalStyle": "'postgres'",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "bytea_output": "'hex'",
}
"""How values are written and read, whatever is set for the user or the database."""

_LIMITS = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "work_mem": "'64MB'"}
"""Loads take as long as they take."""

_WRITES = {"row_security": "off"}
"""Who writes sees all rows, or nothing: those that a policy hides would be neither flagged nor counted."""

_LIMITS_SINCE = {
    # Else the server goes on with what a process that was killed has begun, and holds its locks for so long.
    140000: {"client_connection_check_interval": "'10s'"},
    170000: {"transaction_timeout": "0"},
}
"""Version of the server -> what can be set from then on."""

_TEMPORARY_FIRST = """
    SELECT set_config('search_path', concat_ws(', ', 'pg_temp', nullif(current_setting('search_path'), '')), true);
"""
"""Temporary tables are looked for before tables of the same name, also where a user's path says otherwise."""

_WHO = """
    a.application_name, coalesce(a.client_hostname, host(a.client_addr), 'this machine'), a.pid,
    to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since
"""

_HOLDER = f"""
    SELECT {_WHO}
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = current_database()
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND (CAST(l.classid AS bigint) << 32) | CAST(l.objid AS bigint) = $1
"""

_BLOCKERS = f"""
    SELECT DISTINCT {_WHO}
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE l.granted AND n.nspname = ANY ($1) AND l.pid <> pg_backend_pid() ORDER BY since
"""


class PostgresWarehouse(Warehouse):
    """The tables of one Klaviyo account in a Postgres database.

    A connection is open only as long as a transaction or a read takes. One process writes at a time to a schema,
    others wait for it.

    address: a URL or `service=name`, without a password: it is shown in the UI. libpq finds the password itself, in
        PGPASSWORD or in `~/.pgpass`, or the whole URL is in the environment variable that `url_variable` names.
    """

    address: str = Field(description="URL of the database, or `service=name`, without a password.")
    url_variable: str | None = Field(
        default=None, description="Environment variable that holds the URL with its password."
    )
    max_dynamic_columns: int = Field(
        default=1400,
        description="Columns that may appear in a table; the values of more go to one JSON column. Postgres allows "
        "1,600 columns, those that were dropped included.",
    )
    lock_timeout: float = Field(default=120.0, description="Seconds to wait for another process that writes.")

    @field_validator("address", mode="before")
    @classmethod
    def _without_password(cls, address: Any) -> Any:
        # An error would show it: it is left out, and connecting says where to put it.
        return shown(address) if isinstance(address, str) else address

    @field_validator("schema_name")
    @classmethod
    def _schema_fits(cls, name: str) -> str:
        if len(name.encode()) > _LONGEST_SCHEMA:
            raise ValueError(f"the schema's name may have {_LONGEST_SCHEMA} bytes at most, to leave room for {STAGING}")
        return name

    @property
    def place(self) -> str:
        """Where the tables are, in words, without a password."""
        return f"The schema {self.schema_name} of {self.address}"

    def exists(self) -> bool:
        """Return that there is a database: nobody but its owner makes one."""
        return True

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement, with `?` for each parameter, and fetch its rows; of one that has none, nothing."""
        with self.connect() as connection:
            return self._session(connection).sql(statement, parameters)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open the database, in UTC and without a transaction; close it at the end.

        Raises WarehouseUnusable if that is impossible.
        """
        with self._connected() as connection:
            connection.execute(_set(_VALUES, "SESSION").encode())
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            from klaviyo_assets.warehouse.postgres.connecting import connect
        except ImportError as error:
            raise WarehouseUnusable(
                self.address, f"{error.name} is not installed. Install klaviyo-assets[postgres]"
            ) from error
        connection = connect(self.address, self.url_variable, patience=self.lock_timeout)
        try:
            yield connection
        finally:
            connection.close()

    def _session(self, connection: Connection) -> PostgresSession:
        from klaviyo_assets.warehouse.postgres.session import PostgresSession

        return PostgresSession(connection)

    @contextmanager
    def session(self, *, writes: bool) -> Iterator[PostgresSession]:
        """Give a session in a transaction; see `Warehouse.session`.

        Who reads sees everything as it was at one moment. Who writes has waited for others who do.
        """
        with self._connected() as connection:
            import psycopg

            session = self._session(connection)
            try:
                is_standby = connection.info.parameter_status("in_hot_standby") == "on"
                if is_standby and writes:
                    raise WarehouseUnusable(self.address, "it is a standby, which takes no writes: use its primary")
                isolation = "READ COMMITTED" if writes else "REPEATABLE READ"
                isolation += "" if is_standby else " READ WRITE"  # reads stage keys in temporary tables
                settings = _VALUES | _LIMITS | {"lock_timeout": str(max(1, int(self.lock_timeout * 1000)))}
                settings |= _WRITES if writes else {}
                for version, since in _LIMITS_SINCE.items():
                    settings |= since if connection.info.server_version >= version else {}
                session.execute(f"BEGIN ISOLATION LEVEL {isolation}; {_set(settings, 'LOCAL')} {_TEMPORARY_FIRST}")
                if writes:
                    self._lock(session)
                yield session
            except psycopg.errors.LockNotAvailable as error:
                raise self._locked(error, session) from None
            except psycopg.Error as error:
                raise self._translated(error, session) from None  # its details have values of rows
            finally:
                self._end(session)

    def _end(self, session: PostgresSession) -> None:
        """Undo what was not committed, and what the server still computes after an interrupt."""
        import psycopg

        connection = session.connection
        if connection.closed:
            return
        with suppress(psycopg.Error):
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                connection.cancel_safe(timeout=5.0)
            else:
                session.rollback()

    @property
    def _key(self) -> int:
        """The number of the lock that whoever writes to the schema holds."""
        name = f"klaviyo_assets {self.schema_name}".encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)

    def _lock(self, session: PostgresSession) -> None:
        import psycopg

        try:
            session.sql("SELECT pg_advisory_xact_lock(?)", [self._key])
        except psycopg.errors.LockNotAvailable:
            session.rollback()
            held = self._named(session, _HOLDER, self._key) or "another process"
            raise WarehouseLocked(
                f"{self.place} has been written by {held} for {self.lock_timeout:g} s. Wait until that ends, or end "
                "it, and run it again."
            ) from None

    def _locked(self, error: Exception, session: PostgresSession) -> WarehouseError:
        session.rollback()
        held = self._named(session, _BLOCKERS, [self.schema_name, self.staging_schema]) or "somebody"
        return WarehouseLocked(
            f"A table of {self.place} has been locked by {held} for {self.lock_timeout:g} s. End that transaction, and "
            "run it again."
        )

    def _named(self, session: PostgresSession, statement: str, parameter: Any) -> str:
        found = session.connection.execute(statement.encode(), [parameter]).fetchall()
        return " and ".join(
            f"{application or 'a program'} at {host} (pid {pid}" + (f", since {since} UTC)" if since else ")")
            for application, host, pid, since in found
        )

    def _translated(self, error: Any, session: PostgresSession) -> WarehouseError:
        from klaviyo_assets.warehouse.postgres.connecting import translated

        lost = bool(session.connection.closed)
        return translated(error, place=self.address, schema=self.schema_name, committing=session.committing, lost=lost)


def _set(settings: Mapping[str, str], scope: str) -> str:
    return " ".join(f"SET {scope} {name} = {value};" for name, value in settings.items())
