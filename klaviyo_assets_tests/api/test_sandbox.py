"""The client against the sandbox account, over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from klaviyo_assets.api import (
    InvalidApiKey,
    KlaviyoClient,
    MissingScope,
    Page,
    attribute_times,
    between,
    read_windows,
    strictly_between,
)
from klaviyo_assets.sandbox import Account, Clock, Resource, Sandbox
from klaviyo_assets.sandbox.faults import Html403, InvalidJson, Reset, Status, Truncate
from klaviyo_assets_tests.api.fake import FakeClock

NOW = datetime(2026, 9, 4, 12, 0, tzinfo=UTC)
START = NOW - timedelta(days=2)
T1 = NOW - timedelta(seconds=60)
TIMES = attribute_times("datetime")


@pytest.fixture
def account() -> Account:
    """1,500 events of two days, 300 of them in one second; a profile every ten seconds, three at a time; 25 lists."""
    account = Account(Clock(NOW, frozen=True), {"pk_sandbox": None, "pk_lists": {"lists:read"}})
    random = Random(7)
    for second in [random.randrange(2 * 86_400 - 60) for _ in range(1200)] + [100_000] * 300:
        account.add_event(None, int(START.timestamp()) + second, properties={"n": second})
    for n in range(120):
        updated = (START + timedelta(seconds=n // 3 * 10)).isoformat()
        attributes = {"email": f"p{n}@example.com", "created": updated, "updated": updated}
        account.add(Resource("profile", f"P{n:03}", attributes))
    for n in range(25):
        account.add(Resource("list", f"L{n:02}", {"name": f"List {n}", "created": NOW.isoformat()}))
    return account


@pytest.fixture
def sandbox(account: Account) -> Iterator[Sandbox]:
    with Sandbox(account) as sandbox:
        yield sandbox


@pytest.fixture
def connect(sandbox: Sandbox) -> Iterator[Callable[..., KlaviyoClient]]:
    """Makes clients for whom, as for the account, time passes only while they wait."""
    clients: list[KlaviyoClient] = []
    clock = FakeClock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        sandbox.account.clock.advance(timedelta(seconds=seconds))

    def make(key: str = "pk_sandbox", **options: Any) -> KlaviyoClient:
        client = KlaviyoClient(key, base_url=sandbox.url, clock=clock, sleep=sleep, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., KlaviyoClient]) -> KlaviyoClient:
    return connect()


def events(client: KlaviyoClient, start: datetime, end: datetime | None, workers: int = 4) -> Counter[str]:
    def fetch(lo: datetime, hi: datetime | None) -> Iterator[Page]:
        params = {"filter": between("datetime", lo, hi), "sort": "datetime", "page[size]": 100}
        return client.pages("get_events", "events", params)

    pages = read_windows(fetch, start, end, times=TIMES, workers=workers, now=client.now())
    return Counter(row["id"] for page in pages for row in page.json()["data"])


def test_every_event_comes(account: Account, client: KlaviyoClient) -> None:
    everything = {event.id for event in account.events}
    assert set(events(client, START, T1)) == everything
    whole_hours = [START + timedelta(hours=h) for h in range(48)]
    by_hour: Counter[str] = Counter()
    for lo in whole_hours:
        by_hour += Counter(set(events(client, lo, min(lo + timedelta(hours=1), T1))))
    assert by_hour == Counter(everything)


def test_an_open_end_includes_the_future_and_a_later_read_what_was_late(
    account: Account, client: KlaviyoClient
) -> None:
    future = account.add_event(None, NOW + timedelta(days=40))
    late = account.add_event(None, START + timedelta(hours=1), visible_at=NOW + timedelta(days=5))
    assert future.id in events(client, START, None)
    assert future.id not in events(client, START, T1)
    assert late.id not in events(client, START, T1)
    account.clock.advance(timedelta(days=5, seconds=1))
    assert late.id in events(client, START, T1)


def test_every_event_comes_whatever_breaks(
    account: Account, sandbox: Sandbox, connect: Callable[..., KlaviyoClient]
) -> None:
    client = connect(tries=20)
    random = Random(3)
    faults = [Status(503), Status(429, 2), Status(429), Status(500), Html403(), Truncate(), Reset(), InvalidJson()]
    sandbox.faults.append(lambda call: random.choice(faults) if random.random() < 0.3 else None)
    assert set(events(client, START, T1)) == {event.id for event in account.events}
    made = client.stats.counts()
    assert made.retries > 1 and made.throttled > 1


def test_a_busy_account_is_waited_for(
    account: Account, sandbox: Sandbox, connect: Callable[..., KlaviyoClient]
) -> None:
    sandbox.rate_limits = {"get_events": (2, 10)}  # far less than Klaviyo's: as if others used up the rest
    client = connect()
    began = account.clock.now()
    assert set(events(client, START, T1)) == {event.id for event in account.events}
    made = client.stats.counts()
    assert made.throttled > 1 and made.retries == 0
    assert account.clock.now() - began > timedelta(seconds=50)
    assert client.get("get_lists", "lists").rows == 10


def test_the_limits_of_the_client_suit_the_servers(
    account: Account, sandbox: Sandbox, connect: Callable[..., KlaviyoClient]
) -> None:
    sandbox.rate_limits = "real"
    account.clock.set(NOW + timedelta(seconds=17.3))
    client = connect()
    for _ in range(40):
        client.get("get_accounts", "accounts")
        client.get("get_profiles", "profiles", {"additional-fields[profile]": "predictive_analytics"})
    made = client.stats.counts()
    assert (made.requests, made.throttled) == (80, 0)


def test_profiles_know_only_strict_bounds(account: Account, client: KlaviyoClient) -> None:
    def fetch(lo: datetime, hi: datetime | None) -> Iterator[Page]:
        params = {"filter": strictly_between("updated", lo, hi), "sort": "updated", "page[size]": 10}
        return client.pages("get_profiles", "profiles", params)

    lo, hi = START + timedelta(seconds=100), START + timedelta(seconds=300)
    pages = list(read_windows(fetch, lo, hi, times=attribute_times("updated"), workers=4))
    found = {row["id"] for page in pages for row in page.json()["data"]}
    inside = {p.id for p in account.all("profile") if lo <= datetime.fromisoformat(p.attributes["updated"]) < hi}
    assert len(inside) == 60
    assert inside <= found


def test_page_sizes_are_found_out(sandbox: Sandbox, client: KlaviyoClient) -> None:
    for operation, path in (("get_lists", "lists"), ("get_metrics", "metrics")):
        pages = list(client.pages(operation, path, {"page[size]": 1000}))
        assert sum(page.rows for page in pages) == (25 if path == "lists" else 0)
    assert client.stats.counts().requests == 1 + 3 + 2


def test_scopes_and_keys(sandbox: Sandbox, connect: Callable[..., KlaviyoClient]) -> None:
    client = connect("pk_lists")
    with pytest.raises(MissingScope) as caught:
        client.get("get_events", "events")
    assert caught.value.scopes == ("events:read",)
    assert client.get("get_lists", "lists").rows == 10
    with pytest.raises(InvalidApiKey):
        connect("pk_unknown").get("get_lists", "lists")
    # This key may not read the account; the refusal tells the time as well.
    assert client.now() == NOW


def test_the_time_is_that_of_the_account(account: Account, client: KlaviyoClient) -> None:
    account.clock.set(datetime(2027, 1, 1, 0, 0, 0, 700_000, tzinfo=UTC))
    assert client.now() == datetime(2027, 1, 1, tzinfo=UTC)
