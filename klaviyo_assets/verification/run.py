"""Tries every promise on the database of the settings, in schemas that are made for it and dropped afterwards."""

from __future__ import annotations

import secrets
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path
from threading import Event
from typing import Any

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.settings import Settings
from klaviyo_assets.verification.promises import PROMISES
from klaviyo_assets.verification.report import Outcome, Report, Verdict, masked, versions
from klaviyo_assets.verification.watched import watched
from klaviyo_assets.warehouse.duckdb.location import file_of
from klaviyo_assets.warehouse.location import Kind, kind_of
from klaviyo_assets.warehouse.warehouse import Warehouse

PREFIX = "klaviyo_verify_"
LEASE = 120
"""Seconds for which a dead process keeps others from writing, where that is a setting."""

PATIENCE = 420.0
"""Seconds to wait for a dead process: Snowflake ends its transaction after five minutes in which others waited."""

_SERVER: dict[Kind, str] = {
    "duckdb": "SELECT version()",
    "postgres": "SELECT version()",
    "clickhouse": "SELECT version()",
    "snowflake": "SELECT current_version()",
}
_DROP: dict[Kind, str] = {"clickhouse": "DROP DATABASE IF EXISTS {}"}
_DROP_SCHEMA = "DROP SCHEMA IF EXISTS {} CASCADE"


class Stopped(BaseException):
    """Somebody does not want to wait any longer."""


@contextmanager
def apart(settings: Settings) -> Iterator[Settings]:
    """Give settings of a DuckDB file that goes afterwards, if they name a file: nobody's own file is touched."""
    if kind_of(settings.warehouse) != "duckdb" or file_of(settings.warehouse) is None:
        yield settings
        return
    with tempfile.TemporaryDirectory() as folder:
        yield settings.model_copy(update={"warehouse": str(Path(folder) / "verified.duckdb")})


class Verification:
    """settings: of the warehouse; whatever schema they name is not touched. at_once: how many promises are tried at
    the same time, each in a schema of its own. seconds: after which no further one is begun.

    Raises WarehouseError if there is no way to the database.
    """

    def __init__(self, settings: Settings, *, at_once: int, seconds: float) -> None:
        self._settings = settings
        self._kind = kind_of(settings.warehouse)
        self._at_once = 1 if self._kind == "duckdb" else at_once  # one connection at a time has the file
        self._seconds = seconds
        self._stop = Event()
        self.schemas = f"{PREFIX}{secrets.token_hex(4)}_"
        """Beginning of the names of all schemas that it makes."""
        self.report = Report(self._kind, self._server(), versions(settings))

    def verdicts(self) -> Iterator[Verdict]:
        """Try all promises, and yield what becomes of them in the order in which they end."""
        end = time.monotonic() + self._seconds
        waiting = list(enumerate(PROMISES, 1))
        running: set[Future[Verdict]] = set()
        with ThreadPoolExecutor(self._at_once) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < self._at_once and time.monotonic() < end:
                        running.add(pool.submit(self._try, *waiting.pop(0)))
                    if not running:
                        break
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from map(self._noted, [future.result() for future in done])
            finally:
                self._stop.set()
        for _, promise in waiting:
            yield self._noted(Verdict(promise.__name__, _told(promise), "not tried"))

    def _noted(self, verdict: Verdict) -> Verdict:
        self.report.verdicts.append(verdict)
        return verdict

    def _try(self, number: int, promise: Callable[[Warehouse], None]) -> Verdict:
        steps: list[str] = []

        def watch(step: str) -> None:
            if self._stop.is_set():
                raise Stopped
            steps.append(step)

        schema = f"{self.schemas}{number:02}"
        warehouse = self._warehouse(schema)
        began, problem = time.monotonic(), ""
        try:
            promise(watched(warehouse, watch))
        except Exception as error:  # noqa: BLE001  (whatever a database does, the others are tried)
            problem = masked(_why(error), self._settings)
        finally:
            self._drop(warehouse)
        last = masked(steps[-1], self._settings) if problem and steps else ""
        seconds = round(time.monotonic() - began, 1)
        outcome: Outcome = "broken" if problem else "holds"
        return Verdict(promise.__name__, _told(promise), outcome, seconds, len(steps), problem, last)

    def _warehouse(self, schema: str) -> Warehouse:
        options: dict[str, Any] = {} if self._kind in ("duckdb", "postgres") else {"lease": LEASE}
        return warehouse_of(self._settings, schema_name=schema, lock_timeout=PATIENCE, **options)

    def _server(self) -> str:
        """Return the version of the server."""
        with self._warehouse(f"{self.schemas}00").session(writes=False) as session:
            query = _SERVER.get(self._kind)
            return str(session.sql(query)[0][0]) if query else ""

    def _drop(self, warehouse: Any) -> None:
        """Drop the schemas of a warehouse, whose names need no quotes anywhere."""
        for schema in (warehouse.staging_schema, warehouse.schema_name):
            try:
                warehouse.query(_DROP.get(self._kind, _DROP_SCHEMA).format(schema))
            except Exception as error:  # noqa: BLE001
                self.report.left.append(f"{schema}: {masked(_why(error), self._settings)}")


def _told(promise: Callable[[Warehouse], None]) -> str:
    return cleandoc(promise.__doc__ or "")


def _why(error: BaseException | None) -> str:
    """Return an error with all that lies behind it, the driver's own words too: no value in them is anybody's."""
    lines = []
    while error is not None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        lines.append(f"{type(error).__name__}: {error} ({frame.name}, line {frame.lineno})")
        error = error.__cause__ or error.__context__
    return "\n".join(lines)
