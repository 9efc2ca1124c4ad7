"""Rate limits: fixed windows on the virtual clock, per operation, with stricter ones for some parameters."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.sandbox import Clock, Sandbox
from klaviyo_assets.sandbox.api.errors import ApiError
from klaviyo_assets.sandbox.api.limits import RateLimiter
from klaviyo_assets.sandbox.api.operations import OPERATIONS
from klaviyo_assets_tests.sandbox.samples import sample_account
from klaviyo_assets_tests.sandbox.support import HEADERS, NOW

EVENTS, ACCOUNTS, FLOWS = OPERATIONS["get_events"], OPERATIONS["get_accounts"], OPERATIONS["get_flows"]
PROFILES, MEMBERS = OPERATIONS["get_profiles"], OPERATIONS["get_profiles_for_list"]
REPORT = OPERATIONS["query_campaign_values"]


def wait(limiter: RateLimiter, operation: str = "get_accounts", caller: str = "account") -> int:
    """0 when a request is admitted, else the seconds to wait."""
    try:
        limiter.admit(caller, OPERATIONS[operation], None)
    except ApiError as error:
        assert error.retry_after is not None
        return error.retry_after
    return 0


def test_windows_begin_on_whole_seconds_and_minutes() -> None:
    clock = Clock(NOW + timedelta(seconds=1.9), frozen=True)
    limiter = RateLimiter(clock, "real")
    assert [wait(limiter), wait(limiter)] == [0, 1]
    clock.advance(timedelta(seconds=0.2))
    assert wait(limiter) == 0
    for _ in range(13):
        clock.advance(timedelta(seconds=1))
        assert wait(limiter) == 0
    clock.set(NOW + timedelta(seconds=30.5))
    assert wait(limiter) == 30
    clock.set(NOW + timedelta(seconds=60))
    assert wait(limiter) == 0


def test_operations_and_callers_have_their_own_windows() -> None:
    limiter = RateLimiter(Clock(NOW, frozen=True), "real")
    assert [wait(limiter), wait(limiter), wait(limiter, "get_flows"), wait(limiter, caller="token")] == [0, 1, 0, 0]


@pytest.mark.parametrize("report", ["query_campaign_values", "query_flow_values", "query_flow_series"])
def test_reports_have_a_daily_window(report: str) -> None:
    clock = Clock(NOW.replace(hour=0, minute=0), frozen=True)
    limiter = RateLimiter(clock, "real")
    for _ in range(225):
        assert wait(limiter, report) == 0
        clock.advance(timedelta(minutes=1))
    assert wait(limiter, report) == (24 * 60 - 225) * 60


def test_a_parameter_has_windows_across_operations() -> None:
    limiter = RateLimiter(Clock(NOW, frozen=True), "real")
    for operation in (PROFILES, MEMBERS):
        assert operation.parameter_rate
        for _ in range(5):
            headers = limiter.admit("account", operation, operation.parameter_rate)
    assert headers["ratelimit-limit"] == "10, 10;w=1, 150;w=60"
    assert headers["ratelimit-remaining"] == "0"
    with pytest.raises(ApiError):
        limiter.admit("account", MEMBERS, MEMBERS.parameter_rate)
    assert limiter.admit("account", MEMBERS, None)["ratelimit-remaining"] == str(75 - 6)


@given(
    st.lists(st.floats(0, 3), max_size=60),
    st.tuples(st.integers(1, 5), st.integers(1, 20)),
)
def test_no_window_admits_more_than_its_quota(pauses: list[float], limits: tuple[int, int]) -> None:
    clock = Clock(NOW + timedelta(seconds=50), frozen=True)
    limiter = RateLimiter(clock, {"get_events": limits})
    admitted = []
    for pause in pauses:
        clock.advance(timedelta(seconds=pause))
        seconds = wait(limiter, "get_events")
        if seconds == 0:
            admitted.append(clock.timestamp())
            assert wait(limiter, "get_lists") == 0
        else:
            full = [
                size
                for quota, size in zip(limits, (1, 60), strict=True)
                if sum(moment // size == clock.timestamp() // size for moment in admitted) == quota
            ]
            assert full
            assert 1 <= seconds <= max(full)
    for quota, size in zip(limits, (1, 60), strict=True):
        for moment in admitted:
            assert sum(each // size == moment // size for each in admitted) <= quota


def test_a_throttled_answer_has_only_retry_after() -> None:
    with Sandbox(sample_account(), rate_limits={"get_lists": (2, 10)}) as sandbox:
        answers = [requests.get(f"{sandbox.url}/lists", headers=HEADERS, timeout=60) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[1].headers["ratelimit-remaining"] == "0"
        assert answers[2].headers["retry-after"] == "1"
        assert not [name for name in answers[2].headers if name.startswith("ratelimit")]
        assert requests.get(f"{sandbox.url}/flows", headers=HEADERS, timeout=60).status_code == 200
        sandbox.rate_limits = "off"
        assert requests.get(f"{sandbox.url}/lists", headers=HEADERS, timeout=60).status_code == 200


def test_profile_counts_are_rationed() -> None:
    with Sandbox(sample_account(), rate_limits="real") as sandbox:
        url, parameters = f"{sandbox.url}/lists/Y6nRLr", {"additional-fields[list]": "profile_count"}
        assert requests.get(url, headers=HEADERS, timeout=60).headers["ratelimit-limit"] == "75, 75;w=1, 750;w=60"
        first = requests.get(url, params=parameters, headers=HEADERS, timeout=60)
        assert first.headers["ratelimit-limit"] == "1, 1;w=1, 15;w=60"
        assert requests.get(url, params=parameters, headers=HEADERS, timeout=60).status_code == 429
        assert requests.get(url, headers=HEADERS, timeout=60).status_code == 200
