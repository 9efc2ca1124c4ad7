"""What every server that counts requests has to promise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import RateLimited, Window
from klaviyo_assets.api.limiter import Limiter, windows_of
from klaviyo_assets.api.operations import Rate, limits
from klaviyo_assets.shared_limits.daily import DailyRequests
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.api.fake import FakeClock
from klaviyo_assets_tests.api.processes import Race
from klaviyo_assets_tests.shared_limits.servers import SERVERS, Server

MINUTE = [Window(10, 1.05), Window(10, 63.0)]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with ExitStack() as stack:
        yield SERVERS[request.param](stack, tmp_path, monkeypatch)


@pytest.mark.parametrize(("operation", "pages"), [("get_profiles", 900), ("get_metrics", 200), ("get_flows", 100)])
def test_two_processes_are_hardly_refused_and_neither_starves(server: Server, operation: str, pages: int) -> None:
    apart = Race(operation, pages // 2, processes=2).run()
    together = Race(operation, pages // 2, processes=2, shared=server.of).run()
    assert apart.refused_share > 0.1
    assert together.refused_share < 0.01
    assert together.paused < 75, "as long as whoever is alone waits for the next minute"
    alone = Race(operation, pages).run()
    assert max(together.ended) < 1.25 * alone.ended[0] + 10, "and all that is allowed is used"


def test_however_many_ask_at_once_as_many_as_may_get_a_place(server: Server) -> None:
    counters = [server.counter() for _ in range(3)]
    together = threading.Barrier(9)

    def ask(number: int) -> int:
        together.wait()
        return sum(counters[number % 3].take("op", MINUTE) == 0 for _ in range(5))

    with ThreadPoolExecutor(9) as pool:
        assert sum(pool.map(ask, range(9))) == 10


def test_a_wait_is_as_long_as_it_has_to_be(server: Server) -> None:
    counter = server.counter()
    assert [counter.take("op", MINUTE) for _ in range(10)] == [0.0] * 10
    server.tell(20.0)
    wait = server.counter().take("op", MINUTE)
    assert 40 < wait <= 43
    server.tell(20.0 + wait - 0.5)
    assert 0 < counter.take("op", MINUTE) <= 0.5
    server.tell(20.0 + wait + 0.001)
    assert counter.take("op", MINUTE) == 0
    assert counter.take("another", MINUTE) == 0


@pytest.mark.parametrize("back", [10.0, 7200.0, 400 * 86_400.0])
def test_a_clock_that_goes_back_stops_nobody_for_long(server: Server, back: float) -> None:
    counter, windows = server.counter(), [*MINUTE, Window(20, 86_400.0)]
    server.tell(500 * 86_400.0)
    for _ in range(10):
        counter.take("op", windows)
    now = 500 * 86_400.0 - back
    server.tell(now)
    waited = 0.0
    for _ in range(9):
        while wait := counter.take("op", windows):
            waited += wait
            assert waited <= 74
            server.tell(now + waited)
    assert counter.take("op", [MINUTE[0], Window(9, 63.0)]) > 0, "what was taken since counts"


def test_limits_that_have_changed_since_count_what_was(server: Server) -> None:
    wide, narrow = (list(windows_of(Rate(10, 60), Fraction(*share))) for share in ((1, 1), (1, 60)))
    counter = server.counter()
    assert [counter.take("op", wide) for _ in range(2)] == [0, 0]
    assert counter.take("op", narrow) > 0
    server.tell(70.0)
    assert counter.take("op", narrow) == 0
    server.tell(72.1)
    assert counter.take("op", narrow) > 0
    assert counter.take("op", wide) == 0


def test_a_place_that_others_have_is_not_lost_for_oneself(server: Server) -> None:
    clock, limited = FakeClock(), [("wide", Rate(10, 150)), ("narrow", Rate(1, 15))]
    first, second = (Limiter(clock, shared=server.of(clock)) for _ in range(2))
    assert first.take(limited) == 0 and second.take(limited) > 0
    assert [second.take(limited[:1]) for _ in range(9)] == [0] * 9, "nor one of the other limit"


def test_a_connection_that_was_ended_is_made_anew(server: Server) -> None:
    counter = server.counter()
    for _ in range(2):
        assert counter.take("op", MINUTE) == 0
        server.end_connections()


# A day's requests


class InWarehouse:
    """The warehouse of an account, opened anew by each process."""

    def __init__(self, folder: Path) -> None:
        self._file = str(folder / "warehouse.duckdb")

    def counter(self) -> Any:
        return DailyRequests(DuckDBWarehouse(database=self._file))


@pytest.fixture(params=[*SERVERS, "warehouse"])
def anybody(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with ExitStack() as stack:
        if request.param == "warehouse":
            yield InWarehouse(tmp_path)
        else:
            yield SERVERS[request.param](stack, tmp_path, monkeypatch)


def test_a_days_quota_outlives_the_process(anybody: Any) -> None:
    limited = [("report", Rate(1, 2, 5))]
    waits = []
    for _ in range(5):  # each time another process
        clock = FakeClock()
        limiter = Limiter(clock, shared=anybody.counter())
        clock.sleep(1e6)
        waits.append(limiter.take(limited))
        if isinstance(anybody, Server):
            anybody.tell(len(waits) * 100.0)
    assert waits == [0] * 5
    with pytest.raises(RateLimited) as caught:
        Limiter(FakeClock(), shared=anybody.counter()).take(limited)
    assert 85_000 < caught.value.wait <= 86_400 * 1.05
    assert Limiter(FakeClock(), shared=anybody.counter()).take([("other", Rate(1, 2, 5))]) == 0


def test_the_warehouse_is_asked_about_days_only(tmp_path: Path) -> None:
    counter = InWarehouse(tmp_path).counter()
    assert counter.take("get_events", list(windows_of(limits("get_events", {})[0][1]))) == 0
    assert not (tmp_path / "warehouse.duckdb").exists()
