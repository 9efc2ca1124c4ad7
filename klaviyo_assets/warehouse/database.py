"""A database as a Dagster resource: how it is opened, and who may write."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field

from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.steps.loads import (
    ensure_loads,
    unused_stamp,
)
from klaviyo_assets.warehouse.steps.states import ensure_states, flush_states
from klaviyo_assets.warehouse.transaction import Transaction

_Done = TypeVar("_Done")


class Database(dg.ConfigurableResource[Any]):
    """One schema of a database, and the one of its snapshots.

    It is open only while rows are loaded or read: between the loads of a long run anybody else may use it.
    """

    schema_name: str = Field(default="klaviyo", description="Schema of the tables.")
    max_dynamic_columns: int = Field(
        default=2000, description="Columns that may appear in a table; the values of more go to one JSON column."
    )

    # What a database gives

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the tables are, in words, without a password."""

    @abstractmethod
    def exists(self) -> bool:
        """Return whether there is a database."""

    @abstractmethod
    def session(self, *, writes: bool) -> AbstractContextManager[Session]:
        """Give a session, in a transaction; whoever writes waits until nobody else does. What was not committed is
        undone, and what goes wrong becomes a WarehouseError.
        """

    def within(self, memory: str, what: str, work: Callable[[str | None], _Done]) -> _Done:
        """Do work within a limit of memory, if the database runs in this process."""
        return work(None)

    @property
    def staging_schema(self) -> str:
        """Schema of the snapshots."""
        return self.schema_name + STAGING

    @contextmanager
    def reading(self) -> Iterator[Transaction | None]:
        """Give a transaction to read with, None if there is no database yet."""
        if not self.exists():
            yield None
            return
        with self.session(writes=False) as session:
            yield Transaction(session, self.schema_name)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give a transaction to write with, which is committed at the end; whatever goes wrong undoes all of it."""
        with self.session(writes=True) as session:
            transaction = Transaction(session, self.schema_name)
            ensure_states(transaction)
            ensure_loads(transaction)
            transaction.stamp = unused_stamp(transaction, session.now())
            yield transaction
            session.before_states()
            flush_states(transaction)
            session.commit()

    def try_to_write(self) -> None:
        """Raise what a load would raise, if the warehouse can't be written; change nothing."""
        with self.session(writes=True) as session:
            ensure_states(Transaction(session, self.schema_name))
