"""The points that a run passes, where something may happen to its process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.assets.io_manager import WarehouseIOManager
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
from klaviyo_assets.warehouse.spool import Spool

POINTS = ("request", "answer", "spool", "statement", "executed", "step", "stored")
"""Where a run can be killed: before a request and after its answer, before and after a spool file, before and after a
statement of a load (DDL, its steps, COMMIT), before and after a step's rows are stored."""

HOLDS_THE_FILE = ("statement", "executed")
"""Those at which a run has the database open."""


class Points:
    """Counts how often the run passes each point, and does what is to be done at the n-th time at one.

    acts: (point, n) -> what is done, with the point's name.
    """

    def __init__(self, acts: Mapping[tuple[str, int], Callable[[str], None]]) -> None:
        self.acts = acts
        self.counts = dict.fromkeys(POINTS, 0)
        self._lock = threading.Lock()

    def reach(self, point: str) -> None:
        with self._lock:
            self.counts[point] = self.counts.get(point, 0) + 1
            act = self.acts.get((point, self.counts[point]))
        if act:
            act(point)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Put the points around the methods of this process, which is there for one run only."""
        self._around(KlaviyoClient, "_send_now", "request", "answer")
        self._around(Spool, "write", "spool", "spool")
        self._around(WarehouseIOManager, "handle_output", "step", "stored")
        self._around_each_load()
        self._around_each_statement(DuckDBWarehouse, "_connect")
        self._around_each_statement(PostgresWarehouse, "_connected")
        yield

    def _around(self, owner: type, name: str, before: str, after: str) -> None:
        method: Callable[..., Any] = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            self.reach(before)
            result = method(*arguments, **options)
            self.reach(after)
            return result

        setattr(owner, name, watched)

    def _around_each_statement(self, owner: type, name: str) -> None:
        connect: Callable[..., Any] = getattr(owner, name)

        @contextlib.contextmanager
        def connected(warehouse: Any) -> Iterator[Watched]:
            with connect(warehouse) as connection:
                yield Watched(connection, self)

        setattr(owner, name, connected)

    def _around_each_load(self) -> None:
        """Points of their own before what an asset loads: `load:klaviyo/event`."""
        method = WarehouseIOManager.handle_output

        def watched(manager: WarehouseIOManager, context: dg.OutputContext, loaded: Any) -> None:
            self.reach(f"load:{context.asset_key.to_user_string()}")
            method(manager, context, loaded)

        WarehouseIOManager.handle_output = watched  # type: ignore[method-assign]


class Watched:
    """A connection with a point before and after each statement, and one of its kind: `executed:CREATE INDEX`."""

    def __init__(self, connection: Any, points: Points) -> None:
        self._connection = connection
        self._points = points

    def execute(self, *arguments: Any) -> Any:
        self._points.reach("statement")
        result = self._connection.execute(*arguments)
        self._points.reach("executed")
        text = arguments[0].decode() if isinstance(arguments[0], bytes) else str(arguments[0])
        self._points.reach(f"executed:{' '.join(text.split(maxsplit=2)[:2])}")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
