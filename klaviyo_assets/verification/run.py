"""Tries every promise on the database of the settings, in schemas that are made for it and dropped afterwards."""

from __future__ import annotations

import secrets
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path
from threading import Event
from typing import Any

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.settings import Settings
from klaviyo_assets.verification.process import kill_all
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

GRACE = 10.0
"""Seconds that what runs has to end, if somebody does not want to wait any longer."""

_SERVER: dict[Kind, str] = {
    "duckdb": "SELECT version()",
    "postgres": "SELECT version(), current_user, session_user, current_database()",
    "clickhouse": "SELECT version(), currentUser(), hostName()",
    "snowflake": "SELECT current_version(), current_user(), current_role(), current_database()",
    "bigquery": "SELECT '', session_user()",
}
"""What asks for the version of the server, and for names that nobody else has to know."""

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
        server, *names = self._server()
        self._names = [name for name in map(str, names) if name]
        self.report = Report(self._kind, server, versions(settings))

    def verdicts(self) -> Generator[Verdict]:
        """Try all promises, and yield what becomes of them in the order in which they end."""
        end = time.monotonic() + self._seconds
        waiting = list(enumerate(PROMISES, 1))
        running: dict[Future[Verdict], int] = {}
        pool = ThreadPoolExecutor(self._at_once)
        try:
            while waiting or running:
                while waiting and len(running) < self._at_once and time.monotonic() < end:
                    number, promise = waiting.pop(0)
                    running[pool.submit(self._try, number, promise)] = number
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    yield self._noted(future.result())
        finally:
            self._end(running)
            pool.shutdown(wait=False)
        for _, promise in waiting:
            yield self._noted(Verdict(promise.__name__, _told(promise), "not tried"))

    def _end(self, running: Mapping[Future[Verdict], int]) -> None:
        """End what runs at its next step; drop the schemas of what does not come to one, for it waits for somebody."""
        self._stop.set()
        kill_all()
        for future in wait(running, timeout=GRACE).not_done:
            self._drop(self._warehouse(self._schema(running[future])))

    def _noted(self, verdict: Verdict) -> Verdict:
        self.report.verdicts.append(verdict)
        return verdict

    def _try(self, number: int, promise: Callable[[Warehouse], None]) -> Verdict:
        steps: list[str] = []

        def watch(step: str) -> None:
            if self._stop.is_set():
                raise Stopped
            steps.append(step)

        warehouse = self._warehouse(self._schema(number))
        began, problem = time.monotonic(), ""
        try:
            promise(watched(warehouse, watch))
        except Exception as error:  # noqa: BLE001  (whatever a database does, the others are tried)
            problem = self._masked(_why(error))
        finally:
            self._drop(warehouse)
        last = self._masked(steps[-1]) if problem and steps else ""
        seconds = round(time.monotonic() - began, 1)
        outcome: Outcome = "broken" if problem else "holds"
        return Verdict(promise.__name__, _told(promise), outcome, seconds, len(steps), problem, last)

    def _schema(self, number: int) -> str:
        return f"{self.schemas}{number:02}"

    def _warehouse(self, schema: str) -> Warehouse:
        options: dict[str, Any] = {} if self._kind in ("duckdb", "postgres") else {"lease": LEASE}
        return warehouse_of(self._settings, schema_name=schema, lock_timeout=PATIENCE, **options)

    def _server(self) -> tuple[Any, ...]:
        """Return the version of the server, and names that it has for itself and for who connects."""
        with self._warehouse(self._schema(0)).session(writes=False) as session:
            return session.sql(_SERVER[self._kind])[0]

    def _masked(self, text: str) -> str:
        return masked(text, self._settings, self._names)

    def _drop(self, warehouse: Any) -> None:
        """Drop the schemas of a warehouse, whose names need no quotes anywhere."""
        for schema in (warehouse.staging_schema, warehouse.schema_name):
            try:
                warehouse.query(_DROP.get(self._kind, _DROP_SCHEMA).format(schema))
            except Exception as error:  # noqa: BLE001
                self.report.left.append(f"{schema}: {self._masked(_why(error))}")


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
