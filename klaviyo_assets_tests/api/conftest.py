from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets_tests.api.fake import KEY, FakeApi, FakeClock


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    yield server
    server.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connect(api: FakeApi, clock: FakeClock) -> Iterator[Callable[..., KlaviyoClient]]:
    """Makes clients of the fake server, whose waits take no time."""
    clients: list[KlaviyoClient] = []

    def make(**options: Any) -> KlaviyoClient:
        client = KlaviyoClient(KEY, base_url=api.url, **{"clock": clock, "sleep": clock.sleep, **options})
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., KlaviyoClient]) -> KlaviyoClient:
    return connect()
