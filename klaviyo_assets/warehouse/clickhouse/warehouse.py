"""A warehouse on a ClickHouse server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.clickhouse.address import is_clickhouse, parsed
from klaviyo_assets.warehouse.errors import WarehouseError, WarehouseUnusable
from klaviyo_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.clickhouse.connecting import Client
    from klaviyo_assets.warehouse.clickhouse.session import ClickHouseSession


class ClickHouseWarehouse(Warehouse):
    """The tables of one Klaviyo account on a ClickHouse server; a schema is a database there.

    One process writes at a time to a schema, others wait for it. ClickHouse has no transactions: who reads sees what a
    load has written before it is done. Nothing counts as read before its rows are there.

    address: `clickhouse://user@host:8123`, `clickhouses://` with TLS, without a secret: it is shown in the UI. The
        whole URL may be in the environment variable that `url_variable` names, with what is secret of it.
    """

    address: str = Field(description="URL of the server, without a secret.")
    url_variable: str | None = Field(
        default=None, description="Environment variable that holds the URL with its secrets."
    )
    lock_timeout: float = Field(default=120.0, description="Seconds to wait for another process that writes.")
    lease: int = Field(
        default=1800,
        description="Seconds after which others may write if a run has died. A statement may take half of it.",
    )

    @field_validator("address", mode="before")
    @classmethod
    def _without_secrets(cls, address: Any) -> Any:
        return parsed(address).text if isinstance(address, str) and is_clickhouse(address) else address

    @property
    def place(self) -> str:
        """Where the tables are, in words, without a secret."""
        return f"The database {self.schema_name} of {self.address}"

    def exists(self) -> bool:
        """Return that there is a server: nobody but its owner makes one."""
        return True

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement, with `?` for each parameter, and fetch its rows; of one that has none, nothing."""
        with self.connect() as client:
            return self._session(client).sql(statement, parameters)

    @contextmanager
    def connect(self) -> Iterator[Client]:
        """Give a client of the server, in UTC, that shows each key once (`FINAL`); this process shares it.

        Raises WarehouseUnusable if that is impossible.
        """
        try:
            from klaviyo_assets.warehouse.clickhouse.connecting import connect
        except ImportError as error:
            raise WarehouseUnusable(
                self.address, f"{error.name} is not installed. Install klaviyo-assets[clickhouse]"
            ) from error
        yield connect(self.address, self.url_variable, patience=self.lease / 2 + 30)

    def _session(self, client: Client) -> ClickHouseSession:
        from klaviyo_assets.warehouse.clickhouse.catalog import TEMPORARY
        from klaviyo_assets.warehouse.clickhouse.session import ClickHouseSession

        return ClickHouseSession(client, self.schema_name, f"{TEMPORARY}{secrets.token_hex(8)}x_", self.lease / 2)

    @contextmanager
    def session(self, *, writes: bool) -> Iterator[ClickHouseSession]:
        """Give a session; see `Warehouse.session`. What it writes is there at once."""
        with self.connect() as client:
            from klaviyo_assets.warehouse.clickhouse.catalog import TEMPORARY
            from klaviyo_assets.warehouse.clickhouse.connecting import ERRORS, translated
            from klaviyo_assets.warehouse.clickhouse.lease import ClickHouseLease

            session = self._session(client)
            try:
                if writes:
                    lease = ClickHouseLease(session, self.schema_name, seconds=self.lease, place=self.place)
                    lease.take(self.lock_timeout)
                    session.lease = lease
                    session.prefix = f"{TEMPORARY}{lease.number}_"
                    session.mend([self.schema_name, self.staging_schema])
                yield session
            except ERRORS as error:
                raise translated(
                    error, place=self.address, schema=self.schema_name, committing=session.committing
                ) from None  # its details have values of rows
            finally:
                with suppress(*ERRORS, WarehouseError):
                    session.rollback()

    def rewrite(self, specs: Sequence[TableSpec]) -> dict[str, list[str]]:
        """Remove and hash values, see `Warehouse.rewrite`; then write the tables anew, without the rows replaced."""
        done = super().rewrite(specs)
        with self.session(writes=True) as session:
            for spec in specs:
                for schema in (self.schema_name, self.staging_schema):
                    if spec.policy and spec.name in session.tables(schema):
                        session.execute(f"OPTIMIZE TABLE {session.name(schema, spec.name)} FINAL")
        return done
