"""Dagster's default event log, as the processes of this project use it: no line in `dagster.yaml` is needed for it."""

from __future__ import annotations

import os

import dagster as dg


def keep_open(instance: dg.DagsterInstance) -> None:
    """Have an instance write its events as `OpenEventLogStorage` does, in this process, if they go to SQLite anyway.

    The files and what is in them stay those of Dagster. An event log of another kind stays as it is, and so does
    any with a version of Dagster that this was not tested with.
    """
    from dagster._core.storage.event_log import SqliteEventLogStorage

    from klaviyo_assets.dagster_storage.event_log import TESTED, OpenEventLogStorage

    before = instance.event_log_storage
    if type(before) is SqliteEventLogStorage and dg.__version__ in TESTED:
        kept = OpenEventLogStorage(before._base_dir, before.inst_data)
        kept.register_instance(instance)
        instance._event_storage = kept


def store_together() -> None:
    """Have Dagster's SQLite event log store the events of many partitions together, wherever this process writes it.

    `dagster job execute` notes which partitions a run intends to materialize before any of our code knows its
    instance. Dagster hands such events over in batches if told to, which its SQLite storage then takes apart.
    With a version of Dagster that this was not tested with, nothing changes.
    """
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.event_log.base import EventLogStorage

    from klaviyo_assets.dagster_storage.event_log import BATCH, BATCH_VARIABLE, TESTED, store_batch

    if dg.__version__ in TESTED and SqliteEventLogStorage.store_event_batch is EventLogStorage.store_event_batch:
        SqliteEventLogStorage.store_event_batch = store_batch  # type: ignore[method-assign, assignment]
        os.environ.setdefault(BATCH_VARIABLE, BATCH)
