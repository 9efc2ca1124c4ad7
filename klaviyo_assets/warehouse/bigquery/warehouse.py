"""A warehouse in BigQuery."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field, field_validator

from klaviyo_assets.warehouse.bigquery.address import is_bigquery, parsed
from klaviyo_assets.warehouse.errors import WarehouseError, WarehouseUnusable
from klaviyo_assets.warehouse.extract import Extract, Publication
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.bigquery.connecting import Client
    from klaviyo_assets.warehouse.bigquery.session import BigQuerySession

_log = logging.getLogger(__name__)

_Done = TypeVar("_Done")

_TRIES = 3
"""Of a transaction that BigQuery has undone, since somebody else changed the same table."""


class BigQueryWarehouse(Warehouse):
    """The tables of one Klaviyo account in a BigQuery dataset.

    One process writes at a time to a dataset, others wait for it; those that read see the last commit.

    address: `bigquery://project?location=EU`, without a secret: it is shown in the UI. Who connects is found where
        Google's libraries look for it, unless the address has a `credentials_path` or a `credentials_variable`.
        The whole address may be in the environment variable that `url_variable` names.
    """

    address: str = Field(description="URL of the project, without a secret.")
    url_variable: str | None = Field(
        default=None, description="Environment variable that holds the URL with its secrets."
    )
    lock_timeout: float = Field(default=120.0, description="Seconds to wait for another process that writes.")
    lease: int = Field(
        default=3600, description="Seconds after which others may write if a run has died, or a statement takes longer."
    )

    @field_validator("address", mode="before")
    @classmethod
    def _without_secrets(cls, address: Any) -> Any:
        return parsed(address).text if isinstance(address, str) and is_bigquery(address) else address

    @property
    def place(self) -> str:
        """Where the tables are, in words, without a secret."""
        return f"The dataset {self.schema_name} of {self.address}"

    def exists(self) -> bool:
        """Return that there is a database: nobody but its owner makes a project."""
        return True

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as BigQuery reads it, and fetch its rows."""
        with self.connect() as client:
            return [tuple(row.values()) for row in client.query_and_wait(statement)]

    @contextmanager
    def connect(self) -> Iterator[Client]:
        """Give a client of the project. Close it at the end.

        Raises WarehouseUnusable if there are no credentials.
        """
        try:
            from klaviyo_assets.warehouse.bigquery.connecting import connect
        except ImportError as error:
            raise WarehouseUnusable(
                self.address, f"{error.name} is not installed. Install klaviyo-assets[bigquery]"
            ) from error
        client = connect(self.address, self.url_variable)
        try:
            yield client
        finally:
            client.close()

    def _session(self, client: Client) -> BigQuerySession:
        from klaviyo_assets.warehouse.bigquery.session import BigQuerySession

        return BigQuerySession(client, self.schema_name, most_billed=parsed(self.address).most_billed)

    @contextmanager
    def session(self, *, writes: bool) -> Iterator[BigQuerySession]:
        """Give a session; see `Warehouse.session`. Its transaction begins with the first change of rows.

        Who reads sees with each statement what has been committed before it.
        """
        with self.connect() as client:
            from klaviyo_assets.warehouse.bigquery.connecting import ERRORS, translated
            from klaviyo_assets.warehouse.bigquery.lease import BigQueryLease

            session = self._session(client)
            try:
                session.locate(self.schema_name)
                if writes:
                    lease = BigQueryLease(session, self.schema_name, seconds=self.lease, place=self.place)
                    lease.take(self.lock_timeout)
                    session.held = lease
                yield session
            except ERRORS as error:
                raise translated(
                    error, place=self.address, schema=self.schema_name, committing=session.committing
                ) from None  # its details have values of rows
            finally:
                with suppress(*ERRORS, WarehouseError):
                    session.close()

    # What is undone because somebody else changed the same table is done again: nothing of it was written.

    def load(
        self,
        extract: Extract,
        spool: Spool,
        *,
        guard: float | None = None,
        days: tuple[dt.datetime, dt.datetime] | None = None,
    ) -> LoadResult:
        """Upsert a spool's rows; see `Warehouse.load`."""
        return self._insisting(lambda: super(BigQueryWarehouse, self).load(extract, spool, guard=guard, days=days))

    def patch(self, extract: Extract, spool: Spool) -> LoadResult:
        """Fill columns of rows; see `Warehouse.patch`."""
        return self._insisting(lambda: super(BigQueryWarehouse, self).patch(extract, spool))

    def store_snapshot(self, extract: Extract, spool: Spool) -> LoadResult:
        """Replace the snapshot of a table; see `Warehouse.store_snapshot`."""
        return self._insisting(lambda: super(BigQueryWarehouse, self).store_snapshot(extract, spool))

    def publish(self, publication: Publication, *, guard: float, run_id: str | None = None) -> LoadResult:
        """Publish a table's snapshot; see `Warehouse.publish`."""
        return self._insisting(
            lambda: super(BigQueryWarehouse, self).publish(publication, guard=guard, run_id=run_id)
        )  # fmt: skip

    def _insisting(self, work: Callable[[], _Done]) -> _Done:
        for left in reversed(range(_TRIES)):
            try:
                return work()
            except WarehouseError as error:
                from klaviyo_assets.warehouse.bigquery.connecting import WriteConflict

                if not isinstance(error, WriteConflict) or not left:
                    raise
                _log.warning("%s It is done again.", error)
        raise AssertionError


__all__: Sequence[str] = ["BigQueryWarehouse"]
