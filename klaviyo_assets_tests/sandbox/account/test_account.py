"""The stories of an account, seen through the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from klaviyo_assets.sandbox import Account, Clock, Resource, Sandbox
from klaviyo_assets_tests.sandbox.samples import sample_account
from klaviyo_assets_tests.sandbox.support import NOW, get, profile, walk

ANA = "01J5QK8Z6X3T9N4V7B2C1D0E8F"
TAG = "b6d9d1f2-6a83-4b54-9a5c-2d9d6f0c1a11"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(sample_account()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sample_account()) as sandbox:
        yield sandbox


def test_deleting_takes_the_parts_and_every_reference_along(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.delete("campaign", "01K4ABCDEF0123456789GHJKMN")
    get(sandbox, "campaign-messages/01K4ABCDEG0123456789GHJKMN", status=404)
    account.delete("flow", "T6EyQF")
    get(sandbox, "flow-messages/StDwe4", status=404)
    assert get(sandbox, "metrics/VtZ2aK/relationships/flow-triggers")["data"] == []
    account.delete("list", "Y6nRLr")
    get(sandbox, "lists/Y6nRLr/profiles", status=404)
    account.delete("tag", TAG)
    assert get(sandbox, "segments", include="tags")["data"][0]["relationships"]["tags"]["data"] == []
    account.delete("profile", ANA)
    get(sandbox, f"profiles/{ANA}", status=404)
    assert walk(sandbox, "segments/RkT5hd/profiles") == []
    counted = get(sandbox, "segments/RkT5hd", **{"additional-fields[segment]": "profile_count"})
    assert counted["data"]["attributes"]["profile_count"] == 0
    assert walk(sandbox, "push-tokens") == []
    assert get(sandbox, "coupon-codes/10OFF-ASD325/relationships/coupon")["data"]["id"] == "10OFF"
    account.delete("coupon", "10OFF")
    get(sandbox, "coupon-codes/10OFF-ASD325", status=404)
    assert get(sandbox, "events")["data"], "events outlive their profile"
    with pytest.raises(KeyError):
        account.delete("list", "Y6nRLr")


def test_a_change_is_stamped_with_the_virtual_time(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.clock.set(datetime(2026, 10, 1, 12, 0, 0, 654321, tzinfo=UTC))
    account.rename("list", "Y6nRLr", "Renamed")
    account.archive("campaign", "01K4ABCDEF0123456789GHJKMN")
    account.update("flow-action", "116466131", definition=None)
    account.update("flow", "T6EyQF", definition={})
    listed = get(sandbox, "lists/Y6nRLr")["data"]["attributes"]
    assert (listed["name"], listed["updated"]) == ("Renamed", "2026-10-01T12:00:00+00:00")
    email = "equals(messages.channel,'email')"
    assert walk(sandbox, "campaigns", filter=email) == []
    [campaign] = walk(sandbox, "campaigns", filter=f"{email},equals(archived,true)")
    assert campaign["attributes"]["updated_at"] == "2026-10-01T12:00:00.654321+00:00"
    assert get(sandbox, "flow-actions/116466131")["data"]["attributes"]["updated"] == "2026-10-01T12:00:00+00:00"
    assert get(sandbox, "flows/T6EyQF")["data"]["attributes"]["updated"] == "2026-09-01T10:00:00+00:00"
    account.unarchive("campaign", "01K4ABCDEF0123456789GHJKMN")
    assert len(walk(sandbox, "campaigns", filter=email)) == 1


def test_members_join_and_leave(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.add(profile("BOB"))
    account.join("Y6nRLr", "BOB", NOW - timedelta(days=3))
    rows = walk(sandbox, "lists/Y6nRLr/profiles", sort="joined_group_at", page__size=1)
    assert [(row["id"], row["attributes"]["joined_group_at"]) for row in rows] == [
        ("BOB", "2026-09-01T13:50:00+00:00"),
        (ANA, "2026-09-03T13:50:00+00:00"),
    ]
    assert "joined_group_at" not in get(sandbox, "profiles/BOB")["data"]["attributes"]
    account.leave("Y6nRLr", ANA)
    assert [row["id"] for row in walk(sandbox, "lists/Y6nRLr/relationships/profiles")] == ["BOB"]
    assert [row["id"] for row in get(sandbox, f"profiles/{ANA}", include="lists,segments")["included"]] == ["RkT5hd"]
    for group, member in (("nope", "BOB"), ("Y6nRLr", "nope")):
        with pytest.raises(KeyError):
            account.join(group, member)


def test_a_merged_profile_leads_to_the_survivor_for_a_while(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.add(profile("BOB"))
    account.merge_profiles(ANA, "BOB")
    assert get(sandbox, f"profiles/{ANA}")["data"]["id"] == "BOB"
    assert [row["id"] for row in walk(sandbox, "profiles")] == ["BOB"]
    assert get(sandbox, "profiles/BOB")["data"]["attributes"]["updated"] == "2026-09-04T13:50:00+00:00"
    assert [row["id"] for row in walk(sandbox, "lists/Y6nRLr/profiles")] == ["BOB"]
    assert [row["id"] for row in get(sandbox, "profiles/BOB/push-tokens")["data"]] == ["8b2f0f8e"]
    account.clock.advance(timedelta(hours=2))
    get(sandbox, f"profiles/{ANA}", status=404)
    with pytest.raises(ValueError, match="into itself"):
        account.merge_profiles("BOB", "BOB")


def test_suppressions_come_and_go(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.suppress(ANA, "SPAM_COMPLAINT")
    account.suppress(ANA, "UNSUBSCRIBE", list_id="Y6nRLr")

    def marketing() -> dict[str, object]:
        document = get(sandbox, f"profiles/{ANA}", **{"additional-fields[profile]": "subscriptions"})
        return document["data"]["attributes"]["subscriptions"]["email"]["marketing"]

    stamp = "2026-09-04T13:50:00.000000+00:00"
    assert marketing()["suppression"] == [{"reason": "SPAM_COMPLAINT", "timestamp": stamp}]
    assert marketing()["list_suppressions"] == [{"list_id": "Y6nRLr", "reason": "UNSUBSCRIBE", "timestamp": stamp}]
    assert marketing()["can_receive_email_marketing"] is False
    account.unsuppress(ANA)
    account.unsuppress(ANA, list_id="Y6nRLr")
    assert marketing()["suppression"] == marketing()["list_suppressions"] == []
    assert marketing()["can_receive_email_marketing"] is True


def test_tags_are_seen_from_both_sides(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.add(Resource("tag", "T2", {"name": "new"}))
    account.add_tag("flow", "T6EyQF", "T2")
    account.add_tag("flow", "T6EyQF", "T2")
    assert get(sandbox, "tags/T2/relationships/flows")["data"] == [{"type": "flow", "id": "T6EyQF"}]
    assert [row["id"] for row in get(sandbox, "flows/T6EyQF/tags")["data"]] == [TAG, "T2"]
    account.remove_tag("flow", "T6EyQF", TAG)
    assert get(sandbox, f"tags/{TAG}/relationships/flows")["data"] == []
    account.add(Resource("tag", "T3", {}, {"lists": ["Y6nRLr"]}))
    account.remove_tag("list", "Y6nRLr", "T3")
    assert get(sandbox, "lists/Y6nRLr/relationships/tags")["data"] == [{"type": "tag", "id": TAG}]


def test_a_resource_in_the_place_of_another_keeps_no_old_relations(sandbox: Sandbox) -> None:
    account = sandbox.account
    account.add(Resource("coupon", "NEW", {"external_id": "NEW"}))
    account.add(Resource("coupon-code", "10OFF-ASD325", {"status": "USED"}, {"coupon": "NEW"}))
    assert get(sandbox, "coupons/10OFF/coupon-codes")["data"] == []
    assert [row["id"] for row in get(sandbox, "coupons/NEW/coupon-codes")["data"]] == ["10OFF-ASD325"]


def test_a_loaded_document_adds_to_what_is_there(server: Sandbox) -> None:
    server.account.load({"type": "list", "id": "Y6nRLr", "attributes": {"name": "Loaded", "profile_count": 7}})
    document = get(server, "lists/Y6nRLr", **{"additional-fields[list]": "profile_count"})["data"]["attributes"]
    assert (document["name"], document["opt_in_process"], document["profile_count"]) == ("Loaded", "double_opt_in", 1)
    whole = get(server, "events", include="attributions,profile,metric")
    copy = Account()
    copy.load(whole)
    assert copy.events["7qWkC6JPz7g"].attribution == server.account.events["7qWkC6JPz7g"].attribution
    assert copy.events["7qWkC6JPz7g"].properties == server.account.events["7qWkC6JPz7g"].properties


def test_the_clock() -> None:
    clock = Clock(NOW, frozen=True)
    clock.advance(timedelta(days=1))
    assert clock.now() == NOW + timedelta(days=1)
    clock.run()
    assert not clock.frozen
    assert NOW + timedelta(days=1) <= clock.now() < NOW + timedelta(days=1, minutes=1)
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(ValueError, match="time zone"):
        clock.set(datetime(2026, 1, 1))
