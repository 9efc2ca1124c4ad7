"""A warehouse in a Snowflake database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.warehouse.errors import WarehouseError, WarehouseUnusable
from klaviyo_assets.warehouse.snowflake.address import is_snowflake, parsed
from klaviyo_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.snowflake.connecting import Connection
    from klaviyo_assets.warehouse.snowflake.session import SnowflakeSession

_LONGEST_SCHEMA = 255 - len(STAGING)


class SnowflakeWarehouse(Warehouse):
    """The tables of one Klaviyo account in a Snowflake database.

    A connection is open only as long as a transaction or a read takes. One process writes at a time to a schema,
    others wait for it; those that read see the last commit.

    address: `snowflake://user@account/database?warehouse=...` or `connection=name`, without a secret: it is shown in
        the UI. The whole URL may be in the environment variable that `url_variable` names, with what is secret of it.
    """

    address: str = Field(description="URL of the database, or `connection=name`, without a secret.")
    url_variable: str | None = Field(
        default=None, description="Environment variable that holds the URL with its secrets."
    )
    lock_timeout: float = Field(default=120.0, description="Seconds to wait for another process that writes.")
    lease: int = Field(
        default=3600,
        description="Seconds after which others may write if a run has died. A statement may take half of it.",
    )

    @field_validator("address", mode="before")
    @classmethod
    def _without_secrets(cls, address: Any) -> Any:
        return parsed(address).text if isinstance(address, str) and is_snowflake(address) else address

    @field_validator("schema_name")
    @classmethod
    def _schema_fits(cls, name: str) -> str:
        if len(name) > _LONGEST_SCHEMA:
            raise ValueError(f"the schema's name may have {_LONGEST_SCHEMA} characters at most, beside {STAGING}")
        return name

    @property
    def place(self) -> str:
        """Where the tables are, in words, without a secret."""
        return f"The schema {self.schema_name} of {self.address}"

    def exists(self) -> bool:
        """Return that there is a database: nobody but its owner makes one."""
        return True

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement as Snowflake reads it, with `?` for each parameter, and fetch its rows."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, tuple(parameters) or None)
            return list(cursor.fetchall())

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open the database, in UTC; each statement commits. Close it at the end.

        Raises WarehouseUnusable if that is impossible.
        """
        with self._connected() as connection:
            yield connection

    @contextmanager
    def _connected(self, settings: Mapping[str, Any] | None = None) -> Iterator[Connection]:
        try:
            from klaviyo_assets.warehouse.snowflake.connecting import connect, errors
        except ImportError as error:
            raise WarehouseUnusable(
                self.address, f"{error.name} is not installed. Install klaviyo-assets[snowflake]"
            ) from error
        connection = connect(self.address, self.url_variable, schema=self.schema_name, settings=settings)
        try:
            yield connection
        finally:
            with suppress(errors.Error):
                connection.close()

    def _session(self, connection: Connection) -> SnowflakeSession:
        from klaviyo_assets.warehouse.snowflake.session import SnowflakeSession

        return SnowflakeSession(connection, self.schema_name)

    @contextmanager
    def session(self, *, writes: bool) -> Iterator[SnowflakeSession]:
        """Give a session; see `Warehouse.session`. Its transaction begins with the first change of rows.

        Who reads sees with each statement what has been committed before it.
        """
        settings = {
            "STATEMENT_TIMEOUT_IN_SECONDS": max(1, self.lease // 2),
            "LOCK_TIMEOUT": max(1, int(self.lock_timeout)),
        }
        with self._connected(settings) as connection:
            from klaviyo_assets.warehouse.snowflake.connecting import errors, translated
            from klaviyo_assets.warehouse.snowflake.lease import SnowflakeLease

            session = self._session(connection)
            try:
                if writes:
                    lease = SnowflakeLease(session, self.schema_name, seconds=self.lease, place=self.place)
                    lease.take(self.lock_timeout)
                    session.lease = lease
                yield session
            except errors.Error as error:
                raise translated(
                    error, place=self.address, schema=self.schema_name, committing=session.committing
                ) from None  # its details have values of rows
            finally:
                self._end(session)

    def _end(self, session: SnowflakeSession) -> None:
        """Undo what was not committed, and let others write."""
        from klaviyo_assets.warehouse.snowflake.connecting import errors

        with suppress(errors.Error, WarehouseError):
            session.rollback()
            if session.lease and session.lease.is_held:
                session.lease.give_back()
