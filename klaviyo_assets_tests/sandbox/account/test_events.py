"""Events: when they and their attribution show, how exact they are, and how late ones take their place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.sandbox import Event, Resource, Sandbox
from klaviyo_assets.sandbox.account.events import DAY, Events, event_uuid
from klaviyo_assets_tests.sandbox.support import HEADERS, NOW, frozen_account, get, profile


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(frozen_account()) as sandbox:
        sandbox.account.add(Resource("metric", "M", {"name": "Placed Order"}))
        yield sandbox


def ids(sandbox: Sandbox, **query: str) -> list[str]:
    return [row["id"] for row in get(sandbox, "events", sort="datetime", **query)["data"]]


def test_an_event_shows_when_it_is_visible_and_its_attribution_later(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.add_event(
        "M",
        NOW - timedelta(days=400),
        id="late00000",
        attribution={"flow": "T6EyQF", "flow-message": "StDwe4", "flow-message-variation": "StDwe5"},
        visible_at=NOW + timedelta(hours=1),
        attributed_at=NOW + timedelta(hours=3),
    )
    account.add_event("M", NOW + timedelta(days=200), id="future000")
    assert ids(sandbox) == ["future000"]
    get(sandbox, "events/late00000", status=404)
    account.clock.advance(timedelta(hours=1))
    assert ids(sandbox) == ["late00000", "future000"]
    document = get(sandbox, "events/late00000", include="attributions")
    assert "attributions" not in document["data"]["relationships"]
    assert document["included"] == []
    account.clock.advance(timedelta(hours=2))
    document = get(sandbox, "events", include="attributions")
    [attribution] = document["included"]
    assert document["data"][1]["relationships"]["attributions"] == {
        "data": [{"type": "attribution", "id": "late00000"}]
    }
    assert attribution["relationships"] == {
        "event": {"data": {"type": "event", "id": "late00000"}},
        "flow": {"data": {"type": "flow", "id": "T6EyQF"}},
        "flow-message": {"data": {"type": "flow-message", "id": "StDwe4"}},
        "flow-message-variation": {"data": {"type": "flow-message", "id": "StDwe5"}},
    }
    assert "attributions" not in get(sandbox, "events/late00000")["data"]["relationships"]


def test_properties_given_as_text_stay_as_they_are(sandbox: Sandbox) -> None:
    text = b'{"$value":1.10,"big":123456789012345678901234567890,"name \\"x\\"":"\\ud83c\\udf75"}'
    event = sandbox.account.add_event("M", NOW, properties=text)
    answer = requests.get(f"{sandbox.url}/events/{event.id}", headers=HEADERS, timeout=60)
    assert b'"event_properties":' + text in answer.content


def test_a_null_metric_and_ids_that_need_quoting(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.add_event(None, NOW, id="nometric0", profile_id='a"b')
    row = get(sandbox, "events")["data"][0]
    assert row["relationships"]["metric"]["data"] is None
    assert row["relationships"]["profile"]["data"] == {"type": "profile", "id": 'a"b'}
    assert get(sandbox, "events/nometric0/metric")["data"] is None


def test_a_deleted_or_merged_profile(sandbox: Sandbox) -> None:
    account = sandbox.account
    for id in ("A", "B", "C"):
        account.add(profile(id))
        account.add_event("M", NOW, id=f"event000{id}", profile_id=id)
    account.merge_profiles("A", "B")
    account.delete("profile", "C")
    rows = {row["id"]: row["relationships"] for row in get(sandbox, "events")["data"]}
    assert (
        rows["event000A"]["profile"]["data"] == rows["event000B"]["profile"]["data"] == {"type": "profile", "id": "B"}
    )
    assert "profile" not in rows["event000C"]
    assert ids(sandbox, filter="equals(profile_id,'B')") == ["event000A", "event000B"]
    assert ids(sandbox, filter="has(profile)") == ["event000A", "event000B"]


def test_a_late_event_joins_a_walk_in_progress(sandbox: Sandbox) -> None:
    account = sandbox.account
    for second in range(4):
        account.add_event("M", NOW + timedelta(seconds=second), id=f"event00{second}0")
    first = get(sandbox, "events", sort="datetime", page__size=2)
    account.add_event("M", NOW + timedelta(seconds=1), id="event0011")
    account.add_event("M", NOW, id="event0001")
    account.remove_event("event0020")
    assert [row["id"] for row in get(sandbox, first["links"]["next"])["data"]] == ["event0011", "event0030"]
    assert ids(sandbox)[:2] == ["event0000", "event0001"]


@given(
    st.lists(st.tuples(st.sampled_from(["add", "remove", "read"]), st.integers(0, 3 * DAY), st.integers(0, 9))),
    st.booleans(),
)
def test_events_stay_in_order(steps: list[tuple[str, int, int]], descending: bool) -> None:
    events, expected = Events(), {}
    for action, second, id in steps:
        if action == "add":
            events.add(Event(str(id), "", second, "M"))
            expected[str(id)] = second
        elif action == "remove" and str(id) in expected:
            events.remove(str(id))
            del expected[str(id)]
        low, high = (second // 2, "3"), (second, "7")
        found = [(each.occurred_at, each.id) for each in events.between(low, high, descending=descending)]
        inside = sorted(key for key in ((s, i) for i, s in expected.items()) if low <= key < high)
        assert found == (inside[::-1] if descending else inside)
    assert len(events) == len(expected)
    assert [event.occurred_at for event in events] == sorted(expected.values())


@given(st.integers(0, 2**33), st.integers(0, 2**48 - 1))
def test_the_uuid_tells_the_second(second: int, node: int) -> None:
    uuid = UUID(event_uuid(second, node))
    assert (uuid.version, uuid.node, uuid.clock_seq) == (1, node, 1)
    assert uuid.time == second * 10**7 + 0x01B21DD213814000
    assert event_uuid(1788529135, 0xEB4883AA7288) == "f9204180-a865-11f1-8001-eb4883aa7288"
