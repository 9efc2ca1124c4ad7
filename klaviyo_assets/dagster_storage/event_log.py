"""Dagster's event log in SQLite, with its files kept open."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from packaging.specifiers import SpecifierSet

TESTED = SpecifierSet(">=1.13,<1.14")
"""Versions of Dagster whose private methods are as they are overridden here."""

MOST_OPEN = 4
"""Files that stay open: the index of all runs, and the logs of the runs that were used last."""

KEPT_OPEN = "event_log_storage:\n  module: klaviyo_assets.dagster_storage\n  class: OpenEventLogStorage\n"
"""What dagster.yaml says to use it."""

BATCH_VARIABLE, BATCH = "DAGSTER_EVENT_BATCH_SIZE", "1000"
"""Environment variable that tells Dagster how many events to store at once, and what it is unless set."""

BUSY = 30.0
"""Seconds to wait for another process that writes to the same file; Dagster's own value."""


class OpenEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event log, same files and same contents, whose files stay open between two events.

    Dagster makes an engine of SQLAlchemy, opens the file and compiles the statement anew for each event and each
    question: a third of what a sync costs in which nothing is new. And it has two files written to the disk for each
    partition that a run intends to materialize, and two again when it has: minutes for a year of days. Here the events
    of all partitions are stored together, and the disk is left to write them when it likes: at a power failure the
    latest may be lost, on which nothing depends.

    base_dir: folder of the files; by default where Dagster keeps them, `history/runs` in DAGSTER_HOME.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._inherited: list[OrderedDict[str, sa.Engine]] = []
        self._process = os.getpid()
        self._tables: set[str] = set()
        os.environ.setdefault(BATCH_VARIABLE, BATCH)
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """Describe the configuration."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # type: ignore[override]  # Dagster's own is none of ours
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> SqliteEventLogStorage:
        """Make the storage that dagster.yaml describes; raises KeyError without base_dir and DAGSTER_HOME.

        With a version of Dagster that it was not tested with, it is Dagster's own, which uses the same files.
        """
        folder = config_value.get("base_dir") or str(Path(os.environ["DAGSTER_HOME"], "history", "runs"))
        if dg.__version__ in TESTED:
            return cls(folder, inst_data)
        warnings.warn(
            f"{cls.__name__} was tested with dagster{TESTED}, this is {dg.__version__}: Dagster's own event log is "
            "used, which is slower. Remove `event_log_storage` from dagster.yaml to read this no more.",
            stacklevel=2,
        )
        return SqliteEventLogStorage(folder, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:  # so that one connection a file is enough, whatever the number of threads
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> sa.Engine:
        if self._process != os.getpid():
            # A forked process must neither use nor close what its parent has open.
            self._inherited.append(self._engines)
            self._engines, self._process = OrderedDict(), os.getpid()
        if shard not in self._engines:
            self._engines[shard] = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=sa.pool.QueuePool,
                pool_size=1,
                connect_args={"timeout": BUSY, "check_same_thread": False},
            )
            sa.event.listen(self._engines[shard], "connect", _leave_writing_to_the_disk)
        self._engines.move_to_end(shard)
        while len(self._engines) > MOST_OPEN:
            oldest = next(name for name in self._engines if name != "index")
            self._engines.pop(oldest).dispose()
        return self._engines[shard]

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events, those of assets in one transaction for each run."""
        store_batch(self, events)

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table; those that are there once stay."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _close(self) -> None:
        with self._db_lock:
            if self._process == os.getpid():
                while self._engines:
                    self._engines.popitem()[1].dispose()

    def wipe(self) -> None:
        """Remove all events, and the files of the runs."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close the files."""
        super().dispose()
        self._close()


def _leave_writing_to_the_disk(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL").close()


def store_batch(storage: SqliteEventLogStorage, events: Sequence[dg.EventLogEntry]) -> None:
    """Store events, those of assets in one transaction for each run.

    Raises what SQLAlchemy does. Dagster stores all of them again then, one by one: of those of assets none is there.
    """
    runs: dict[str, list[dg.EventLogEntry]] = {}
    others = []
    for event in events:
        if event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS:
            runs.setdefault(event.run_id, []).append(event)
        else:
            others.append(event)
    for run_id, of_run in runs.items():
        _store_asset_events(storage, run_id, of_run)
    for event in others:
        storage.store_event(event)


def _store_asset_events(storage: SqliteEventLogStorage, run_id: str, events: Sequence[dg.EventLogEntry]) -> None:
    """Store events of assets in the log of their run and in the index of all runs, as `store_event` does."""
    rows = [storage._event_to_row(event) for event in events]
    insert = SqlEventLogStorageTable.insert()
    with storage.run_connection(run_id) as log:
        log.execute(insert, rows)
        last = log.scalar(sa.select(sa.func.last_insert_rowid()))
    try:
        with storage.index_connection() as index:
            ids = [index.execute(insert, row).inserted_primary_key[0] for row in rows]
            storage._store_asset_event_tags(index, events, ids)
            # What the index says of an asset is what the last event of each type says.
            latest = {
                (event.get_dagster_event().asset_key, event.dagster_event_type): n for n, event in enumerate(events)
            }
            for n in sorted(latest.values()):
                storage._store_asset_event(index, events[n], ids[n])
    except sa.exc.SQLAlchemyError:
        number = SqlEventLogStorageTable.c.id
        with storage.run_connection(run_id) as log:  # one transaction's numbers follow each other
            log.execute(SqlEventLogStorageTable.delete().where(number.between(last - len(rows) + 1, last)))
        raise
