from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api import REVISION, RateLimited, revision_support
from klaviyo_assets.api.limiter import Limiter
from klaviyo_assets.api.operations import RATES, Rate, limits, revision
from klaviyo_assets.api.revision import ending
from klaviyo_assets_tests.api.fake import FakeClock
from klaviyo_assets_tests.reference import LATEST, openapi


def test_the_table_is_that_of_the_openapi_document() -> None:
    spec = openapi()
    expected = {}
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and path.startswith("/api/"):
                name = operation["operationId"]
                if method == "get" or name.startswith("query_"):
                    rate = {k: int(v.split("/")[0]) for k, v in operation["x-klaviyo-ratelimit"].items()}
                    expected[name] = Rate(**rate)
    assert expected == RATES
    assert spec["info"]["version"] == REVISION


def test_costly_parameters_have_limits_of_their_own() -> None:
    both = {"additional-fields[profile]": ["subscriptions,predictive_analytics"]}
    assert limits("get_profiles", {}) == [("get_profiles", Rate(75, 750))]
    assert limits("get_profiles", {"additional-fields[profile]": ["subscriptions"]}) == limits("get_profiles", {})
    assert limits("get_profiles", both)[-1] == ("predictive_analytics", Rate(10, 150))
    assert limits("get_profiles_for_list", both)[-1] == limits("get_profiles", both)[-1]
    counted = limits("get_segment", {"additional-fields[segment]": ["profile_count"]})
    assert counted == [("get_segment", Rate(75, 750)), ("profile_count", Rate(1, 15))]
    assert limits("get_profile", {"include": ["lists"]})[-1][1] == Rate(1, 15)
    with pytest.raises(ValueError, match="get_evnets"):
        limits("get_evnets", {})


def drive(limiter: Limiter, clock: FakeClock, limited: list[tuple[str, Rate]], requests: int) -> list[float]:
    """The times of that many requests, made as soon as the limiter lets them."""
    sent = []
    while len(sent) < requests:
        wait = limiter.take(limited)
        if wait:
            clock.sleep(wait)
        else:
            sent.append(clock.now)
    return sent


@given(
    rate=st.sampled_from([Rate(1, 2, 225), Rate(1, 15), Rate(3, 60), Rate(10, 150), Rate(75, 750)]),
    offset=st.floats(0, 60),
    start=st.floats(0, 1e6),
)
def test_no_window_of_the_server_is_exceeded_wherever_it_begins(rate: Rate, offset: float, start: float) -> None:
    clock = FakeClock()
    clock.now = start
    sent = drive(Limiter(clock), clock, [("op", rate)], min(2 * rate.steady, 200))
    for quota, seconds in ((rate.burst, 1), (rate.steady, 60), (rate.daily or 10**9, 86_400)):
        windows = [int((t - offset) // seconds) for t in sent]
        assert max(windows.count(w) for w in set(windows)) <= quota


def test_nearly_all_of_the_quota_is_used() -> None:
    clock = FakeClock()
    sent = drive(Limiter(clock), clock, limits("get_events", {}), 35_000)
    assert sent[-1] - sent[0] < 10.5 * 60  # at the quota itself: ten minutes


def test_a_daily_quota_that_is_used_up_is_an_error() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    limited = limits("query_campaign_values", {})
    drive(limiter, clock, limited, 225)
    clock.sleep(120)
    with pytest.raises(RateLimited) as caught:
        limiter.take(limited)
    assert caught.value.wait > 600
    clock.sleep(caught.value.wait)
    assert limiter.take(limited) == 0


def test_a_refusal_pauses_the_narrowest_limit_for_everyone() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    plain = limits("get_profiles", {})
    costly = limits("get_profiles", {"additional-fields[profile]": ["predictive_analytics"]})
    limiter.refused(costly, 30)
    assert limiter.take(costly) == 30
    assert limiter.take(plain) == 0
    assert limiter.take(limits("get_lists", {})) == 0
    clock.sleep(30)
    assert limiter.take(costly) == 0


def test_refusals_without_retry_after_wait_longer_each_time() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    limited = limits("get_lists", {})
    waits = []
    for _ in range(4):
        for _ in range(16):  # as many threads meet the same refusal
            limiter.refused(limited, None)
        waits.append(limiter.take(limited))
        clock.sleep(waits[-1])
    assert waits == [1, 2, 4, 8]
    limiter.accepted(limited)
    limiter.refused(limited, None)
    assert limiter.take(limited) == 1


def test_refusals_that_never_end_are_an_error() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    limited = limits("get_lists", {})
    began = clock.now
    with pytest.raises(RateLimited):
        while True:
            limiter.refused(limited, 60)
            clock.sleep(limiter.take(limited))
    assert clock.now - began == 600


def test_days_of_support() -> None:
    assert revision_support(date(2028, 7, 15)) == {"2026-07-15": 0, "2026-10-15": 92}
    assert revision_support(date(2028, 7, 16))["2026-07-15"] == -1
    assert not list(ending(date(2028, 4, 16))), "90 days before"
    assert list(ending(date(2028, 4, 17))) == [
        "Klaviyo supports revision 2026-07-15 of its API, which this version speaks, for 89 more days: "
        "update klaviyo-assets."
    ]
    assert [sentence[:44] for sentence in ending(date(2028, 7, 18))] == [
        "Klaviyo no longer supports revision 2026-07-",
        "Klaviyo supports revision 2026-10-15 of its ",
    ]


def test_each_operation_speaks_a_revision_that_has_it() -> None:
    pinned, later = openapi(), openapi(LATEST)
    known = {document["info"]["version"]: operations(document) for document in (pinned, later)}
    assert {revision(name) for name in RATES} == {REVISION, LATEST}
    for name in RATES:
        assert name in known[revision(name)], name


def operations(document: dict[str, Any]) -> set[str]:
    return {each["operationId"] for methods in document["paths"].values() for each in methods.values()}
