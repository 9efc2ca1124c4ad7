"""Ctrl-C while DuckDB computes: it ends at once, nothing of the load stays, and no step takes it for an error."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.warehouse.local.interrupts import insisting, interruptible
from klaviyo_assets.warehouse.transaction import Transaction
from klaviyo_assets_tests.warehouse.helpers import warehouse_at
from klaviyo_assets_tests.warehouse.test_loading import load, rows

LONG = "SELECT count(*) FROM range(1000000000) a(i), range(1000000) b(j) WHERE (i * j) % 7 = 3"


def interrupt_when_it_runs(transaction: Transaction) -> None:
    """Send Ctrl-C as soon as the next statement runs."""
    for setting in ("enable_progress_bar=true", "enable_progress_bar_print=false", "progress_bar_time=0"):
        transaction.sql(f"SET {setting}")

    def interrupt() -> None:
        until = time.monotonic() + 1.0  # DuckDB 1.4 may never say how far it is
        while transaction.session.connection.query_progress() < 0 and time.monotonic() < until:
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()


@pytest.mark.parametrize("statement", [LONG, f"CREATE TABLE long AS {LONG.replace('count(*)', 'DISTINCT i + j')}"])
def test_an_interrupt_ends_what_duckdb_computes(tmp_path: Path, statement: str) -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"}])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), warehouse.transaction() as transaction:
            transaction.sql("DELETE FROM klaviyo.event")
            interrupt_when_it_runs(transaction)
            transaction.sql(statement)
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.set_wakeup_fd(-1) == -1
    assert [row["id"] for row in rows(warehouse)] == ["1"]
    load(warehouse, [{"id": "2"}])


def test_a_read_ends_as_well(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"}])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), warehouse.reading() as transaction:
            assert transaction
            interrupt_when_it_runs(transaction)
            transaction.sql(LONG)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [row["id"] for row in rows(warehouse)] == ["1"]


def test_a_signal_that_somebody_swallows_comes_again() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    swallowed, forwarded = 0, os.pipe()
    os.set_blocking(forwarded[1], False)
    outer = signal.set_wakeup_fd(forwarded[1])
    try:
        with insisting(again=0.01) as pressed:
            assert not pressed.is_set()
            while swallowed < 3:
                try:
                    if not swallowed:
                        os.kill(os.getpid(), signal.SIGINT)
                    threading.Event().wait(60)
                except KeyboardInterrupt:
                    swallowed += 1
        assert pressed.is_set() and os.read(forwarded[0], 1) == bytes([signal.SIGINT])
    except KeyboardInterrupt:
        pass  # the last one may come late
    finally:
        signal.set_wakeup_fd(outer)
        signal.signal(signal.SIGINT, before)
    assert swallowed == 3


def test_an_interrupt_that_comes_before_the_statement_ends_it_too() -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)  # as where Python sees the signal too early
    connection = duckdb.connect()
    try:
        with pytest.raises(KeyboardInterrupt), interruptible(connection, again=0.05):
            os.kill(os.getpid(), signal.SIGINT)
            connection.execute("SELECT 1").fetchall()
            connection.execute(LONG).fetchall()
    finally:
        signal.signal(signal.SIGINT, before)
        connection.close()


def test_an_interrupt_of_a_connection_that_is_closed_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr("threading.excepthook", told.append)
    reached = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: reached.set())
    connection = duckdb.connect()
    try:
        with interruptible(connection, again=0.01):
            connection.close()
            os.kill(os.getpid(), signal.SIGINT)
            assert reached.wait(10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not told


def test_a_signal_in_a_finalizer_is_repeated_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: told.append(unraisable.exc_type))

    class Finalized:
        def __init__(self, error: type[BaseException]) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    with insisting():
        Finalized(KeyboardInterrupt)
        Finalized(ValueError)
    Finalized(KeyboardInterrupt)
    assert told == [ValueError, KeyboardInterrupt]
