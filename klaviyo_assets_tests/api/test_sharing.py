"""Whoever else uses the account: other processes of this project, which have a share, and other tools."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from requests.structures import CaseInsensitiveDict

from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.api.limiter import Limiter
from klaviyo_assets.api.operations import Rate
from klaviyo_assets.api.rate_headers import Told, told
from klaviyo_assets_tests.api.fake import FakeApi, FakeClock, Reply, document
from klaviyo_assets_tests.api.processes import Race
from klaviyo_assets_tests.api.test_rates import drive

DATE = "Fri, 04 Sep 2026 13:38:54 GMT"
SECOND = 1788529134


# What answers say


@pytest.mark.parametrize(
    ("limit", "remaining", "expected"),
    [
        ("350, 350;w=1, 3500;w=60", "349", Told(1, 350, 1, SECOND)),
        ("1, 1;w=1, 2;w=60, 225;w=86400", "0", Told(1, 1, 1, SECOND)),
        ("3500, 350;w=1, 3500;w=60", "3400", Told(60, 3500, 100, SECOND // 60)),
        ("350", "349", None),
        ("350, 75;w=1", "349", None),
        ("350, 350;w=1", "", None),
        ("350, 350;w=0", "349", None),
        ("many", "few", None),
        ("350, 350;w=1", "-3", None),
        ("-350, -350;w=1", "3", None),
        ("350, 350;w=-1", "3", None),
        (f"350, 350;w=1, 3500;w={'9' * 5000}", "349", Told(1, 350, 1, SECOND)),
        (f"350, {'9' * 5000};w=1", "349", None),
    ],
)
def test_what_an_answer_says_of_a_limit(limit: str, remaining: str, expected: Told | None) -> None:
    headers = {"ratelimit-limit": limit, "ratelimit-remaining": remaining, "date": DATE}
    assert told(CaseInsensitiveDict(headers)) == expected
    for date in ("yesterday", "Fri, 04 Sep 99999999999 13:38:54 GMT", "Fri, 31 Dec 9999 23:59:59 -2359"):
        assert told(CaseInsensitiveDict({**headers, "date": date})) is None


@pytest.mark.parametrize(
    ("operation", "pages", "others"), [("get_profiles", 2000, 5), ("get_events", 8000, 20), ("get_metrics", 300, 1)]
)
def test_who_sees_others_use_the_account_is_slowed_down_by_it_and_not_by_refusals(
    operation: str, pages: int, others: float
) -> None:
    blind, seeing = (Race(operation, pages, others=others, heeds=heeds).run() for heeds in (False, True))
    assert blind.refused > 20 and blind.others_refused > 20
    assert seeing.refused_share < 0.01 and seeing.others_refused < 0.01 * seeing.others
    assert seeing.pages[0] >= pages


@pytest.mark.parametrize("lag", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("operation", "pages"), [("get_profiles", 1500), ("get_events", 7000)])
def test_who_is_alone_is_not_slowed_down(operation: str, pages: int, lag: float) -> None:
    blind, seeing = (Race(operation, pages, heeds=heeds, lag=lag).run() for heeds in (False, True))
    assert seeing.refused == 0 and seeing.ended[0] <= 1.01 * blind.ended[0]


def test_others_get_half_at_most_and_are_forgotten_after_a_minute() -> None:
    clock, limited = FakeClock(), [("op", Rate(10, 150))]
    limiter = Limiter(clock)
    for second in range(30):
        limiter.accepted(limited, Told(1, 10, 10, second))
        clock.sleep(1)
    assert len(drive(limiter, clock, limited, 5)) == 5 and limiter.take(limited) > 0
    clock.sleep(62)
    began = clock.now
    assert drive(limiter, clock, limited, 10)[-1] == began


def test_the_client_heeds_what_answers_say(api: FakeApi, client: KlaviyoClient, clock: FakeClock) -> None:
    said = {"RateLimit-Limit": "10, 10;w=1, 150;w=60", "RateLimit-Remaining": "0", "RateLimit-Reset": "0"}
    api.routes["metrics"] = Reply(document([]), headers=said)
    for second in range(10, 30):
        api.date = f"Fri, 04 Sep 2026 13:38:{second} GMT"
        client.get("get_metrics", "/metrics")
        clock.sleep(1.1)
    clock.sleeps.clear()
    for _ in range(6):
        client.get("get_metrics", "/metrics")
    assert clock.sleeps == [pytest.approx(1.05)], "of ten places in a second five are left to others"


# Shares


@pytest.mark.parametrize("operation", ["get_profiles", "get_flows", "get_events"])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_with_a_share_each_are_not_refused_and_none_starves(operation: str, processes: int) -> None:
    pages = {"get_profiles": 1500, "get_flows": 120, "get_events": 7000}[operation] // processes
    alone = Race(operation, pages).run()
    outcome = Race(operation, pages, processes, share=Fraction(1, processes)).run()
    assert outcome.refused_share < 0.01
    assert max(outcome.ended) < 1.2 * min(outcome.ended)
    assert min(outcome.ended) > alone.ended[0]


def test_a_share_of_less_than_one_request_is_one_in_a_longer_time() -> None:
    clock, limited = FakeClock(), [("op", Rate(1, 2, 225))]
    sent = drive(Limiter(clock, share=Fraction(1, 4)), clock, limited, 4)
    pauses = [later - earlier for earlier, later in pairwise(sent)]
    assert pauses == pytest.approx([126.0] * 3)
