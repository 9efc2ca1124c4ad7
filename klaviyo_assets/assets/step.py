"""What every step does that reads from Klaviyo, whatever it reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

import dagster as dg
from pydantic import Field

from klaviyo_assets.api import ApiUnavailable, ForeignAnswer, InvalidApiKey, NotPermitted, Page, RateLimited
from klaviyo_assets.assets.advice import advised, of_klaviyo
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.slow import read_ahead, snapshot_rows
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.assets.spooling import fill, spools
from klaviyo_assets.schema.columns import Batch
from klaviyo_assets.schema.lost import Lost, noting
from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.settings import Settings
from klaviyo_assets.shared_limits.counting import NobodyCounts
from klaviyo_assets.sync.due import is_due
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.spool import SpoolWriter
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets.workers.conversion import Convert
from klaviyo_assets.workers.cores import default_processes
from klaviyo_assets.workers.spooling import spool_pages

INCREMENTAL = "klaviyo_assets/incremental"
"""Tag of runs that read only what is new and what is due. (A tag, because Dagster drops the config of a job with
partitions when it is launched for a range.)"""

UNREAD_ONLY = "klaviyo_assets/unread_only"
"""Tag of runs that want days that have never been read: nothing is read if that has happened since."""

EXPECTED = (ApiUnavailable, ForeignAnswer, InvalidApiKey, NobodyCounts, RateLimited)
"""What happens outside of this code."""


class SnapshotConfig(dg.Config):
    """What a run may decide about a snapshot."""

    only_due: bool | None = Field(
        default=None,
        description="Leave out tables whose last snapshot is younger than their cadence. Default: only in syncs.",
    )


class PublishConfig(dg.Config):
    """What a run may decide about publishing a table."""

    accept_shrink: bool = Field(
        default=False,
        description="Flag rows as deleted even if they are more than `delete_guard` allows.",
    )


class Step:
    """A step that reads some tables: the state that it begins with, and spools that are gone when its context ends.

    If the API key may not read them, the context ends with a warning or, if `missing_scope` says so, a dagster.Failure;
    with that also if Klaviyo does not answer.

    account: with the client and the warehouse. is_sync: whether the run reads only what is new and what is due.
    now, began, states: see `KlaviyoAccount.start`. used: says what the step has used of the API, as asset metadata.
    misshapen: what `spool` was given of another shape than it should have.
    """

    def __init__(self, settings: Settings, context: dg.AssetExecutionContext, tables: Sequence[TableSpec]) -> None:
        self.account: KlaviyoAccount = getattr(context.resources, account_key(settings))
        self.is_sync = context.run.tags.get(INCREMENTAL) == "true"
        self.used = self.account.usage()
        self.now, self.began, self.states = self.account.start(context.log.warning, tables)
        self.misshapen = Lost()
        self._settings, self._context, self._tables = settings, context, tables
        self._spools = ExitStack()
        with advised():
            read_ahead(settings, context, self.account, self.now, self.began, self.states, only_due=self.is_sync)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        self._spools.close()
        if isinstance(error, EXPECTED):
            # Its place in the code says nothing, and would take fifty lines of the run's log.
            raise dg.Failure(of_klaviyo(error, self.account.api_key_variable)) from None
        if not isinstance(error, NotPermitted):
            return False
        names = ", ".join(table.name for table in self._tables)
        if self._settings.missing_scope == "fail":
            raise dg.Failure(
                f"{error} The setting `missing_scope: fail` has it fail, rather than skip {names}.", allow_retries=False
            ) from None
        self._context.log.warning(f"Skipped {names}: {error}")
        return True

    def is_due(self, table: str, scope: str, cadence: dt.timedelta | None) -> bool:
        """Return whether a scope is due; see `klaviyo_assets.sync.due`."""
        return is_due(self._settings, self.states, table, scope, cadence, self.now)

    def skips(self, config: SnapshotConfig, *, due: bool, what: str) -> bool:
        """Return whether there is nothing to do: the run wants only what is due, and this is not, which is logged."""
        if due or not (self.is_sync if config.only_due is None else config.only_due):
            return False
        self._context.log.info(f"{what} not due yet.")
        return True

    def spool(self, batches: Iterable[Batch], specs: Sequence[TableSpec]) -> dict[str, SpoolWriter]:
        """Write what a read yields to a temporary spool for each spec; return spec name -> its writer, closed.

        What no spec wants is left out. Raises SpoolFull if that takes more room than the settings allow.
        """
        with advised():
            writers = spools(specs, self._settings.spool_limit, self._spools)
            self.misshapen = fill(writers, batches)
            return writers

    def spool_snapshots(self, tables: Sequence[Table]) -> Mapping[str, SpoolWriter]:
        """Read tables of a family whole, if that has not begun already, and `spool` them."""
        if begun := self.account.ahead.take(self._context.op_execution_context.op_handle.name):
            self._spools.push(begun.spools)
            if not begun.done.done():
                self._context.log.info(f"Waiting for the rest of {tables[0].name}, which other steps did not wait for.")
            with suppress(WarehouseError):  # what kept this read from the warehouse may have passed
                self.misshapen, used = begun.done.result()
                self.now, self.began, self.used = begun.now, begun.began, lambda: dict(used)
                return begun.writers
        return self.spool(snapshot_rows(self.account, tables), tables)

    def spool_pages(
        self, pages: Iterable[Page], convert: Convert, specs: Sequence[TableSpec]
    ) -> dict[str, SpoolWriter]:
        """Do what `spool` does with the rows that `convert` makes of pages, in several processes if they are many."""
        with advised():
            writers = spools(specs, self._settings.spool_limit, self._spools)
            with noting() as self.misshapen:
                spool_pages(
                    (page.content for page in pages),
                    convert,
                    writers,
                    self.misshapen,
                    processes=self._settings.processes or default_processes(),
                )
            return writers

    def losses(self, *unfit: Lost) -> dict[str, Any]:
        """Log what was lost of the tables, which come from the same answers; return metadata that counts it.

        unfit: for each table, the values that its columns do not hold exactly. A few ids are named: they are keys,
        which no setting hides.
        """
        warn = self._context.log.warning
        for sentence in self.misshapen.remarks:
            warn(sentence)
        if self.misshapen:
            warn(
                f"Klaviyo's answers about {self._tables[0].name} lack fields, or have some of another shape than they "
                f"should, which count as empty: {self.misshapen}. Rows without any `attributes`, or that a page names "
                "and does not include, stay as they are."
            )
        for table, lost in zip(self._tables, unfit, strict=True):
            if lost:
                warn(f"Values of {table.name} that do not fit their column's type are NULL, or rounded: {lost}.")
        counts = dict(self.misshapen) | (unfit[0] if unfit else {})
        return {"values_lost": counts} if counts else {}

    def state(
        self, table: str, scope: str = "", *, through: dt.datetime | None = None, complete: bool = True
    ) -> SyncState:
        """Return the state that says that a scope has been read through a time, `now` unless another is given."""
        run_id = self._context.run.run_id
        return SyncState(table, scope, synced_through=through or self.now, complete=complete, run_id=run_id)


def chosen(context: dg.AssetExecutionContext, tables: Sequence[Table]) -> list[Table]:
    """Return the tables that the run wants of those that a step may give."""
    return [table for table in tables if table.name in context.op_execution_context.selected_output_names]
