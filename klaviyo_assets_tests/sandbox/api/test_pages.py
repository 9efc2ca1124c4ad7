"""Pagination: whatever the rows and the page size, each row comes exactly once and in order."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.sandbox import Account, Resource, Sandbox
from klaviyo_assets.sandbox.api.operations import OPERATIONS
from klaviyo_assets.sandbox.api.pages import Pages
from klaviyo_assets.sandbox.api.query import parse_query
from klaviyo_assets_tests.sandbox.support import NOW, frozen_account, get, profile, walk

DOMAIN = "http://sandbox.test/api"


def read(account: Account, operation: str, id: str | None = None, **query: str) -> list[str]:
    """Ids of all pages, through the same path as a request but without HTTP."""
    pages, found = Pages(account), []
    pairs = [(name.replace("_", "[", 1) + "]" if "_" in name else name, value) for name, value in query.items()]
    while True:
        parsed = parse_query(OPERATIONS[operation], pairs, account.clock.now())
        document = msgspec.json.decode(pages.answer(parsed, id, f"{DOMAIN}/x", DOMAIN))
        assert len(document["data"]) <= (parsed.size or 0)
        found += [row["id"] for row in document["data"]]
        assert len(found) == len(set(found))
        if document["links"]["next"] is None:
            return found
        assert document["data"], "a page that is followed by another cannot be empty"
        pairs = parse_qsl(urlsplit(document["links"]["next"]).query)


stamps = st.integers(0, 3).map(lambda second: f"2026-01-01T00:00:0{second}+00:00")
sizes = st.integers(1, 7)


@given(seconds=st.lists(st.integers(0, 3), max_size=40), size=sizes, sort=st.sampled_from(["datetime", "-datetime"]))
def test_events_with_equal_seconds(seconds: list[int], size: int, sort: str) -> None:
    account = frozen_account()
    for index, second in enumerate(seconds):
        account.add_event("M", 1_700_000_000 + second, id=f"{index * 7919 % 1000:08d}")
    found = read(account, "get_events", page_size=str(size), sort=sort)
    expected = sorted((event.occurred_at, event.id) for event in account.events)
    assert found == [id for _, id in (expected if sort == "datetime" else expected[::-1])]


@given(
    updated=st.lists(stamps, max_size=30),
    size=sizes,
    sort=st.sampled_from(["updated", "-updated", "id", "-id", "created"]),
)
def test_profiles_with_equal_times(updated: list[str], size: int, sort: str) -> None:
    account = frozen_account()
    for index, stamp in enumerate(updated):
        account.add(profile(f"P{index * 7919 % 1000:03d}", stamp, created=stamp))
    found = read(account, "get_profiles", page_size=str(size), sort=sort)
    field = sort.removeprefix("-")
    keys = [(each.id if field == "id" else each.attributes[field], each.id) for each in account.all("profile")]
    assert found == [id for _, id in sorted(keys, reverse=sort.startswith("-"))]


@given(names=st.lists(st.text("ab:id", max_size=9), max_size=20), size=sizes, sort=st.sampled_from(["name", "-name"]))
def test_names_of_any_kind(names: list[str], size: int, sort: str) -> None:
    account = frozen_account()
    for index, name in enumerate(names):
        account.add(Resource("list", f"L{index:02d}", {"name": name}))
    found = read(account, "get_lists", page_size=str(size), sort=sort)
    keys = sorted(((name, f"L{index:02d}") for index, name in enumerate(names)), reverse=sort == "-name")
    assert found == [id for _, id in keys]


@given(stamps=st.lists(st.tuples(stamps, stamps), max_size=20), size=sizes)
def test_forms_whose_cursor_has_no_id(stamps: list[tuple[str, str]], size: int) -> None:
    account = frozen_account()
    for index, (created, updated) in enumerate(stamps):
        account.add(Resource("form", f"F{index:02d}", {"created_at": created, "updated_at": updated}))
    found = read(account, "get_forms", page_size=str(size), sort="created_at")
    assert found == [id for *_, id in sorted((*stamp, f"F{index:02d}") for index, stamp in enumerate(stamps))]


@given(
    joined=st.lists(st.integers(0, 3), max_size=20),
    size=sizes,
    sort=st.sampled_from(["joined_group_at", "-joined_group_at"]),
)
def test_members_of_a_list(joined: list[int], size: int, sort: str) -> None:
    account = frozen_account()
    account.add(Resource("list", "L"))
    for index, second in enumerate(joined):
        account.add(profile(f"P{index:02d}"))
        account.join("L", f"P{index:02d}", NOW - timedelta(seconds=second))
    found = read(account, "get_profile_ids_for_list", "L", page_size=str(size), sort=sort)
    keys = sorted(((-second, f"P{index:02d}") for index, second in enumerate(joined)), reverse=sort[0] == "-")
    assert found == [id for _, id in keys]


@given(
    seconds=st.lists(st.integers(0, 9), max_size=40),
    low=st.integers(0, 9),
    width=st.integers(0, 9),
    operators=st.sampled_from([("greater-or-equal", "less-than"), ("greater-than", "less-or-equal")]),
)
def test_windows_of_events(seconds: list[int], low: int, width: int, operators: tuple[str, str]) -> None:
    start = datetime(2026, 1, 1, 23, 59, 55, tzinfo=UTC)
    account = frozen_account()
    for index, second in enumerate(seconds):
        account.add_event("M", start + timedelta(seconds=second), id=f"{index:08d}")
    bounds = [(start + timedelta(seconds=second)).isoformat() for second in (low, low + width)]
    conditions = ",".join(f"{name}(datetime,{bound})" for name, bound in zip(operators, bounds, strict=True))
    found = read(account, "get_events", filter=conditions, sort="datetime")
    inside = range(low, low + width) if operators[0] == "greater-or-equal" else range(low + 1, low + width + 1)
    expected = sorted((second, f"{index:08d}") for index, second in enumerate(seconds) if second in inside)
    assert found == [id for _, id in expected]


@given(
    updated=st.lists(st.integers(0, 3), max_size=20),
    bound=st.integers(0, 3),
    operator=st.sampled_from(["equals", "greater-than", "greater-or-equal", "less-than", "less-or-equal"]),
    size=sizes,
)
def test_windows_of_resources(updated: list[int], bound: int, operator: str, size: int) -> None:
    account = frozen_account()
    for index, second in enumerate(updated):
        stamp = f"2026-01-01T00:00:0{second}+00:00"
        account.add(Resource("template", f"T{index:02d}", {"updated": stamp}))
    filter = f"{operator}(updated,2026-01-01T00:00:0{bound}Z)"
    found = read(account, "get_templates", page_size=str(size), sort="-updated", filter=filter)
    holds = {
        "equals": int.__eq__,
        "greater-than": int.__gt__,
        "greater-or-equal": int.__ge__,
        "less-than": int.__lt__,
        "less-or-equal": int.__le__,
    }[operator]
    keys = sorted(((second, f"T{index:02d}") for index, second in enumerate(updated)), reverse=True)
    assert found == [id for second, id in keys if holds(second, bound)]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(frozen_account()) as sandbox:
        yield sandbox


def cursor_of(link: str) -> str:
    cursor = link.rpartition("page%5Bcursor%5D=")[2]
    assert "=" not in cursor
    return base64.b64decode(cursor + "=" * (-len(cursor) % 4)).decode()


def test_links_are_complete_and_lead_through_the_collection(sandbox: Sandbox) -> None:
    for name in "abcde":
        sandbox.account.add_event("M", 1_700_000_000, id=f"00000{name * 3}")
    first = get(sandbox, "events", page__size=2, sort="datetime", filter="equals(metric_id,'M')")
    assert first["links"]["self"] == (
        f"{sandbox.url}/events?page%5Bsize%5D=2&sort=datetime&filter=equals%28metric_id%2C%27M%27%29"
    )
    assert first["links"]["next"].startswith(first["links"]["self"] + "&page%5Bcursor%5D=")
    assert first["links"]["prev"] is None
    assert cursor_of(first["links"]["next"]) == '[1700000000, "00000bbb", true]'
    second = get(sandbox, first["links"]["next"])
    assert second["links"]["self"] == first["links"]["next"]
    assert [row["id"] for row in second["data"]] == ["00000ccc", "00000ddd"]


def test_a_cursor_that_was_tampered_with_is_refused(sandbox: Sandbox) -> None:
    for path in ("events", "lists", "forms"):
        for cursor in ("WzE3", "%%%", base64.b64encode(b"next::name::x").decode(), "é"):
            error = get(sandbox, path, status=400, page__cursor=cursor)["errors"][0]
            assert (error["detail"], error["source"]) == ("Invalid cursor provided.", {"pointer": "/data/"})


def test_ties_are_skipped_only_on_request(sandbox: Sandbox) -> None:
    for id in "abcd":
        sandbox.account.add(Resource("web-feed", id, {"name": id, "created": "2026-01-01T00:00:00+00:00"}))
    assert [row["id"] for row in walk(sandbox, "web-feeds", page__size=2)] == ["a", "b", "c", "d"]
    sandbox.ties = True
    assert [row["id"] for row in walk(sandbox, "web-feeds", page__size=2)] == ["a", "b"]
    sandbox.ties = False


def test_a_row_that_changes_during_a_walk_is_read_again_at_the_end(sandbox: Sandbox) -> None:
    account = sandbox.account
    for index in range(6):
        account.add(profile(f"P{index}", f"2026-01-01T00:00:0{index}+00:00"))
    first = get(sandbox, "profiles", page__size=3, sort="updated")
    account.update("profile", "P1", first_name="Changed")
    account.delete("profile", "P4")
    rest = walk(sandbox, first["links"]["next"])
    assert [row["id"] for row in rest] == ["P3", "P5", "P1"]
    assert rest[-1]["attributes"]["first_name"] == "Changed"


def test_collections_that_hide_some_rows(sandbox: Sandbox) -> None:
    account = sandbox.account
    for id, hidden in (("1", False), ("2", True)):
        account.add(Resource("image", id, {"name": id, "hidden": hidden}))
    assert [row["id"] for row in walk(sandbox, "images")] == ["1"]
    assert [row["id"] for row in walk(sandbox, "images", filter="equals(hidden,true)")] == ["2"]
    for id, archived in (("F1", False), ("F2", True)):
        account.add(Resource("flow", id, {"name": id, "archived": archived}))
    assert [row["id"] for row in walk(sandbox, "flows")] == ["F1"]
    assert [row["id"] for row in walk(sandbox, "flows", filter="equals(archived,true)")] == ["F2"]
    for id in ("T1", "T2"):
        account.add(Resource("template", id, {"name": id}))
    account.add(Resource("campaign-message", "CM", {}, {"template": "T2"}))
    assert [row["id"] for row in walk(sandbox, "templates")] == ["T1"]
    assert get(sandbox, "templates/T2")["data"]["id"] == "T2"


def archive() -> Account:
    """Seven archived email campaigns and as many of a text message, updated in turn."""
    account = frozen_account()
    for number in range(14):
        stamp = f"2026-01-01T00:00:{number:02d}+00:00"
        attributes = {"archived": True, "created_at": stamp, "updated_at": stamp}
        account.add(Resource("campaign", f"C{number:02d}", attributes))
        channel = {"definition": {"channel": ("email", "sms")[number % 2]}}
        account.add(Resource("campaign-message", f"M{number:02d}", channel, {"campaign": f"C{number:02d}"}))
    return account


@pytest.mark.parametrize("sort", ["updated_at", "-updated_at", "id"])
@pytest.mark.parametrize("size", [2, 3, 100])
def test_the_archive_of_emails_may_be_out_of_order_but_is_complete(size: int, sort: str) -> None:
    with Sandbox(archive()) as sandbox:

        def found(channel: str) -> list[str]:
            filter = f"equals(messages.channel,'{channel}'),equals(archived,true)"
            return [row["id"] for row in walk(sandbox, "campaigns", filter=filter, sort=sort, page__size=size)]

        emails, texts = found("email"), found("sms")
        sandbox.unsorted_archive = True
        assert found("sms") == texts
        unsorted = found("email")
        assert unsorted != emails and sorted(unsorted) == sorted(emails) and len(emails) == 7
        assert all(abs(unsorted.index(id) - place) <= 1 for place, id in enumerate(emails))


def test_a_strict_bound_may_be_loose_for_campaigns_and_flows() -> None:
    account = archive()
    for id, second in (("F1", 4), ("F2", 5)):
        account.add(Resource("flow", id, {"archived": False, "updated": f"2026-01-01T00:00:0{second}+00:00"}))
    account.add(profile("P1", "2026-01-01T00:00:04+00:00"))
    bound = "2026-01-01T00:00:04Z"
    emails = f"equals(messages.channel,'email'),equals(archived,true),greater-than(updated_at,{bound})"
    with Sandbox(account) as sandbox:

        def found(path: str, filter: str) -> list[str]:
            return [row["id"] for row in walk(sandbox, path, filter=filter)]

        after = f"greater-than(updated,{bound})"
        assert found("campaigns", emails)[0] == "C06" and found("flows", after) == ["F2"]
        sandbox.loose_bounds = True
        assert found("campaigns", emails)[0] == "C04" and found("flows", after) == ["F1", "F2"]
        assert found("profiles", after) == []
