"""Each fault by itself: for a while, when what is read has to be whole all the same, and for good, as a clear error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest

from klaviyo_assets.api import (
    ApiUnavailable,
    KlaviyoClient,
    KlaviyoError,
    PaginationError,
    RateLimited,
    attribute_times,
    between,
    read_windows,
    strictly_between,
)
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.control import SandboxControl
from klaviyo_assets.sandbox.fault_plans import KINDS, PAGES, TRANSPORT, FaultPlan
from klaviyo_assets.sandbox.faults import Call, Fault
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.faults.mixtures import VirtualTime

NEVER_RIGHT: dict[str, type[KlaviyoError]] = {
    "429 for an hour": RateLimited,
    "repeated cursor": PaginationError,
    "link to another host": PaginationError,
}
HARMLESS = {"slow bytes", *PAGES}
"""Faults that may stay: the answer is usable, or an error at once."""


@pytest.fixture
def account() -> Account:
    account = generate_account(events=300, profiles=120, days=3, seed=2)
    account.clock.freeze()
    return account


@pytest.fixture
def sandbox(account: Account) -> Iterator[Sandbox]:
    with Sandbox(account) as sandbox:
        yield sandbox


def client_of(sandbox: Sandbox) -> KlaviyoClient:
    passing = VirtualTime(sandbox.account)
    return KlaviyoClient("pk_sandbox", base_url=sandbox.url, timeout=(1, 0.4), clock=passing.clock, sleep=passing.sleep)


def fail(sandbox: Sandbox, kind: str, times: int) -> None:
    def hook(call: Call) -> Fault | None:
        return KINDS[kind](sandbox.account, call) if call.number <= times else None

    sandbox.faults[:] = [hook]


def read_profiles(client: KlaviyoClient, account: Account) -> Counter[str]:
    """Read the profiles that were updated in three parts of time that adjoin, with strict bounds a second wider."""
    now = account.clock.now()
    edges = [now - timedelta(days=2000), now - timedelta(days=30), now - timedelta(days=10), None]
    found: Counter[str] = Counter()
    for start, end in pairwise(edges):
        assert start
        query = {"filter": strictly_between("updated", start, end), "sort": "updated", "page[size]": 20}
        for page in client.pages("get_profiles", "profiles", query):
            found.update(row["id"] for row in page.json()["data"])
    return found


def read_events(client: KlaviyoClient, account: Account) -> Counter[str]:
    now = account.clock.now()
    pages = read_windows(
        lambda lo, hi: client.pages(
            "get_events", "events", {"filter": between("datetime", lo, hi), "sort": "datetime", "page[size]": 40}
        ),
        now - timedelta(days=1000),
        None,
        times=attribute_times("datetime"),
        workers=4,
        now=now,
    )
    return Counter(row["id"] for page in pages for row in page.json()["data"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_that_passes_loses_nothing(kind: str, sandbox: Sandbox, account: Account) -> None:
    wanted = {event.id for event in account.events}, {profile.id for profile in account.all("profile")}
    for read, expected in zip((read_events, read_profiles), wanted, strict=True):
        fail(sandbox, kind, times=10**9 if kind in HARMLESS else 2)
        with client_of(sandbox) as client:
            try:
                found = read(client, account)
            except KlaviyoError as error:
                assert type(error) is NEVER_RIGHT[kind]
                continue
            # A window of events that is divided among threads follows no link.
            assert kind not in NEVER_RIGHT or (read is read_events and NEVER_RIGHT[kind] is PaginationError)
        assert set(found) == expected
        if kind in TRANSPORT:
            assert client.stats.counts().retries + client.stats.counts().throttled or kind == "slow bytes"


@pytest.mark.parametrize("kind", sorted(TRANSPORT.keys() - HARMLESS))
def test_a_fault_that_stays_is_a_clear_error(kind: str, sandbox: Sandbox) -> None:
    fail(sandbox, kind, times=10**9)
    with client_of(sandbox) as client, pytest.raises((ApiUnavailable, RateLimited), match="get_lists"):
        list(client.pages("get_lists", "lists"))


def test_a_plan_is_the_same_for_the_same_seed_whoever_asks_first(account: Account) -> None:
    calls = [Call("GET", operation, f"/api/{operation}", {}, {}, n) for operation in "abc" for n in range(1, 50)]
    plan, same, other = (FaultPlan(seed, account, kinds=TRANSPORT, share=0.5) for seed in (1, 1, 2))
    chosen = [plan(call) for call in calls]
    assert [same(call) for call in reversed(calls)] == chosen[::-1]
    assert [other(call) for call in calls] != chosen
    assert 0.3 < sum(fault is not None for fault in chosen) / len(calls) < 0.7
    assert {kind for seed in range(100) for kind in FaultPlan(seed, account).kinds} == set(KINDS)
    with pytest.raises(ValueError, match="there is no fault nonsense"):
        FaultPlan(1, account, kinds=["nonsense"])


def test_a_plan_begins_and_ends_by_hand(sandbox: Sandbox, account: Account) -> None:
    control = SandboxControl(sandbox.url)
    assert "503, in 100% of the requests" in control.tell("set_faults", seed=1, kinds=["503"], share=1.0)
    with client_of(sandbox) as client:
        with pytest.raises(ApiUnavailable, match="503"):
            client.get("get_lists", "lists")
        control.tell("clear_faults")
        assert client.get("get_lists", "lists").rows
