"""The generated account: what tests, demos and developers may rely on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from klaviyo_assets.sandbox import Account, Event, Sandbox
from klaviyo_assets.sandbox.shop.events import DAY, event_id
from klaviyo_assets.sandbox.shop.generate import burst_size, generate_account
from klaviyo_assets.sandbox.shop.nasty import DRIFT, DRIFTING, INJECTION, LONG_NAME, NASTY_KINDS
from klaviyo_assets_tests.sandbox.support import HEADERS

NOW = datetime(2026, 9, 4, 12, 0, 30, tzinfo=UTC)
EVENTS, PROFILES, DAYS = 20_000, 2_000, 90

SHORT, ULID, DECIMAL = r"[0-9A-Za-z]{6}", r"01[0-9A-HJKMNP-TV-Z]{24}", r"\d+"
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
CATALOG = r"\$custom:::\$default:::[A-Z0-9-]+"
IDS = {
    "metric": SHORT, "list": SHORT, "segment": SHORT, "flow": SHORT, "template": SHORT, "flow-message": SHORT,
    "form": SHORT, "campaign": f"{ULID}|{SHORT}", "campaign-message": f"{ULID}|{SHORT}", "profile": f"{ULID}|{SHORT}",
    "custom-metric": ULID, "template-universal-content": ULID, "webhook": ULID, "flow-action": DECIMAL,
    "form-version": DECIMAL, "image": DECIMAL, "tag": UUID4, "tag-group": UUID4, "catalog-item": CATALOG,
    "catalog-variant": CATALOG, "catalog-category": CATALOG, "coupon-code": r"[A-Z0-9]+-[0-9A-F]+",
}  # fmt: skip


def generate(**arguments: Any) -> Account:
    return generate_account(**{"events": EVENTS, "profiles": PROFILES, "days": DAYS, "now": NOW} | arguments)


@pytest.fixture(scope="module")
def account() -> Account:
    return generate()


@pytest.fixture(scope="module")
def properties(account: Account) -> dict[str, dict[str, Any]]:
    """Decoded properties of every event, by its id."""
    return {event.id: event.properties for event in account.events}


def digest(account: Account) -> str:
    """A hash of everything in the account."""
    found = sha256()
    for type in account.resources:
        found.update(
            msgspec.json.encode([(each.id, each.attributes, each.relationships) for each in account.all(type)])
        )
    found.update(msgspec.json.encode(account.memberships))
    for event in account.events:
        found.update(repr([getattr(event, name) for name in Event.__slots__]).encode())
    return found.hexdigest()


def attributes(account: Account, type: str, name: str) -> list[Any]:
    return [each.attributes[name] for each in account.all(type)]


def test_same_arguments_give_the_same_account_in_every_process() -> None:
    code = (
        "from klaviyo_assets_tests.sandbox.shop.test_generate import *;"
        "print(digest(generate(events=2000, profiles=200, late='hard')))"
    )
    seen = set()
    for hash_seed in "12":
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        root = Path(__file__).parents[3]
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, cwd=root, env=environment, check=True, capture_output=True, text=True)
        seen.add(done.stdout.strip())
    assert seen == {digest(generate(events=2000, profiles=200, late="hard"))}
    assert seen != {digest(generate(events=2000, profiles=200, late="hard", seed=2))}


@pytest.mark.parametrize(
    ("events", "profiles", "days"), [(0, 0, 1), (0, 3, 90), (1, 1, 1), (37, 3, 400), (2_500, 90, 1), (900, 1, 30)]
)
def test_counts_are_exact(events: int, profiles: int, days: int) -> None:
    account = generate(events=events, profiles=profiles, days=days)
    assert (len(account.events), len(account.all("profile"))) == (events, profiles)
    assert account.clock.now() - NOW < timedelta(seconds=30)


@pytest.mark.parametrize("arguments", [{"profiles": 0}, {"events": -1}, {"days": 0}, {"now": NOW.replace(tzinfo=None)}])
def test_impossible_accounts_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        generate(**arguments)


@pytest.mark.parametrize("type", IDS)
def test_ids_have_klaviyo_s_form(account: Account, type: str) -> None:
    ids = [each.id for each in account.all(type)]
    assert ids
    assert not [id for id in ids if not re.fullmatch(IDS[type], id)]


def test_old_objects_have_short_ids(account: Account) -> None:
    for type in ("campaign", "profile"):
        short = sum(len(each.id) == 6 for each in account.all(type))
        assert 0 < short < len(account.all(type)) / 2


def test_event_ids_and_uuids(account: Account) -> None:
    assert len({event_id(number) for number in range(100_000)}) == 100_000
    for event in account.events:
        assert re.fullmatch(r"[0-9A-Za-z]{11,12}", event.id)
        low, middle, high, clock, _ = event.uuid.split("-")
        ticks = int(high[1:] + middle + low, 16)
        assert (high[0], clock, ticks) == ("1", "8001", event.occurred_at * 10**7 + 0x01B21DD213814000)


def test_every_metric_has_events(account: Account) -> None:
    used = {event.metric_id for event in account.events}
    known = {metric.id for metric in account.all("metric")}
    assert known <= used
    assert len(used - known) == 2 and None in used, "events of a metric that does not exist, and of none"
    names = Counter(attributes(account, "metric", "name"))
    assert names["Placed Order"] == 2
    standard = ("Received Email", "Marked Email as Spam", "Active on Site", "Clicked Text Message", "Refunded Order")
    assert all(names[name] == 1 for name in standard)
    integrations = attributes(account, "metric", "integration")
    assert None in integrations
    assert {type(each["category"]) for each in integrations if each} == {str, dict}


def test_events_fill_the_period_with_ties(account: Account) -> None:
    first, now = (NOW - timedelta(days=DAYS)).timestamp(), NOW.timestamp()
    seconds = Counter(event.occurred_at for event in account.events)
    assert first <= min(seconds) and max(seconds) <= now - 120
    per_day = Counter(int(second - first) // DAY for second in seconds.elements())
    assert set(per_day) == set(range(DAYS))
    assert seconds.most_common(1)[0][1] >= burst_size(EVENTS) == 1000
    assert sum(count > 3 for count in seconds.values()) > 100


@pytest.mark.parametrize(("events", "burst"), [(50_000, 2_500), (100_000, 5_000), (20_000, 1_000), (2_000, 100)])
def test_burst_size(events: int, burst: int) -> None:
    assert burst_size(events) == burst


def test_messages_of_events_exist(account: Account, properties: dict[str, dict[str, Any]]) -> None:
    kinds: Counter[str] = Counter()
    for event in properties.values():
        message, flow = event.get("$message"), event.get("$flow")
        if flow:
            assert account.get("flow", flow) and account.get("flow-message", message)
            kinds["flow"] += 1
        elif message:
            types = [type for type in ("campaign", "campaign-message") if account.get(type, message)]
            kinds["+".join(types)] += 1
        elif "Campaign Name" in event and "Subject" in event:
            kinds["deleted campaign"] += 1
    assert kinds.keys() == {"flow", "campaign", "campaign-message", "campaign+campaign-message", "deleted campaign"}


def test_attributions_lead_to_a_touch(account: Account, properties: dict[str, dict[str, Any]]) -> None:
    kinds: Counter[tuple[str, ...]] = Counter()
    for event in account.events:
        if event.attribution is None:
            continue
        touch = account.events[event.attribution["attributed-event"]]
        assert (touch.profile_id, touch.occurred_at <= event.occurred_at) == (event.profile_id, True)
        assert "$message" not in properties[event.id], "a conversion has no message of its own"
        message = properties[touch.id]["$message"]
        assert message in event.attribution.values()
        for name, id in event.attribution.items():
            type = {"attributed-event": "event", "flow-message-variation": "flow-message"}.get(name, name)
            assert type == "event" or account.get(type, id), name
        kinds[tuple(event.attribution)] += 1
    assert set(kinds) == {
        ("attributed-event", "campaign", "campaign-message"),
        ("attributed-event", "flow", "flow-message"),
        ("attributed-event", "flow", "flow-message", "flow-message-variation"),
    }


def test_events_of_people(account: Account) -> None:
    shown = Counter(account.profile_of(event) for event in account.events)
    assert shown[None] > EVENTS / 1000, "events of deleted profiles"
    for profile in account.all("profile"):
        assert (profile.attributes["last_event_date"] is not None) == (profile.id in shown)
    created = {
        each.id: datetime.fromisoformat(each.attributes["created"]).timestamp() for each in account.all("profile")
    }
    assert all(created[e.profile_id] <= e.occurred_at for e in account.events if account.profile_of(e))


def test_nasty_properties(properties: dict[str, dict[str, Any]]) -> None:
    names = Counter(chain.from_iterable(properties.values()))
    assert {INJECTION, "", LONG_NAME, "🍵", "Value", "value", "campaign name", "a.b.c", "$value"} <= names.keys()
    drifted = [each[DRIFTING] for each in properties.values() if DRIFTING in each]
    assert {type(value) for value in drifted} == {type(value) for value in DRIFT}
    assert any(each.get("big") == 2**70 for each in properties.values())
    assert any(str(each.get("negative zero")) == "-0.0" for each in properties.values())
    sizes = [len(msgspec.json.encode(each)) for each in properties.values()]
    assert sum(size > 90_000 for size in sizes) == 5
    assert max(len(each) for each in properties.values()) >= 300
    assert 0.005 < names[DRIFTING] * NASTY_KINDS / EVENTS < 0.015


def test_typical_event_is_as_large_as_klaviyo_s(account: Account) -> None:
    with Sandbox(account) as sandbox:
        page = requests.get(f"{sandbox.url}/events", params={"page[size]": 1000}, headers=HEADERS, timeout=60)
    sizes = sorted(len(msgspec.json.encode(row)) for row in page.json()["data"])
    assert 1000 < sizes[500] < 1500


def test_everything_is_visible_by_now(account: Account) -> None:
    now = NOW.timestamp()
    delays = [event.visible_at - event.occurred_at for event in account.events]
    assert min(delays) >= 5 and max(delays) <= 60
    assert all(event.visible_at <= event.attributed_at <= now for event in account.events)
    attributed = [event for event in account.events if event.attribution]
    waits = sorted(event.attributed_at - event.visible_at for event in attributed)
    assert waits[len(waits) // 2] > 1800 and waits[-1] <= 3 * 3600


def test_hard_account_is_late() -> None:
    account = generate(late="hard")
    now, first = NOW.timestamp(), (NOW - timedelta(days=DAYS)).timestamp()
    assert len(account.events) == EVENTS
    late = [event for event in account.events if event.visible_at == event.occurred_at + 5 * DAY]
    old = [event for event in account.events if event.occurred_at < first - 200 * DAY]
    future = [event for event in account.events if event.occurred_at > now]
    assert 0.007 < len(late) / EVENTS < 0.013
    assert 0.007 < len(old) / EVENTS < 0.013
    assert 0.0004 < len(future) / EVENTS < 0.002
    assert any(event.visible_at > now for event in late)
    assert all(event.visible_at <= now for event in old + future)
    assert all(event.attributed_at >= event.visible_at for event in account.events)


def test_profiles(account: Account) -> None:
    profiles = [each.attributes for each in account.all("profile")]
    marketing = [each["subscriptions"]["email"]["marketing"] for each in profiles]
    assert {each["consent"] for each in marketing} == {"SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED"}
    reasons = {entry["reason"] for each in marketing for entry in each["suppression"]}
    assert reasons == {"UNSUBSCRIBE", "HARD_BOUNCE", "SPAM_COMPLAINT", "USER_SUPPRESSED", "INVALID_EMAIL"}
    assert {len(each["list_suppressions"]) for each in marketing} == {0, 1, 2}
    assert any(each["email"] is None for each in profiles)
    emails = [each["email"] for each in profiles if each["email"]]
    assert len(set(emails)) == len(emails)
    assert {type(each["location"]["latitude"]) for each in profiles} == {float, int, str, type(None)}
    assert any(" " in each["properties"].get("$consent_timestamp", "") for each in profiles)
    assert any(each["predictive_analytics"]["total_clv"] for each in profiles)

    updated = Counter(each["updated"] for each in profiles)
    assert updated.most_common(1)[0][1] > 50, "as after an import"
    quarter = timedelta(days=DAYS / 4)
    ages = Counter((NOW - datetime.fromisoformat(each)) // quarter for each in updated.elements())
    assert set(ages) == {0, 1, 2, 3} and min(ages.values()) > PROFILES / 12


def test_members_joined_after_they_were_created(account: Account) -> None:
    assert len(account.all("list")) > 10 and len(account.all("segment")) > 10, "more than a page"
    assert {len(members) == 0 for members in account.memberships.values()} == {True, False}
    for members in account.memberships.values():
        for profile, joined in members.items():
            created = datetime.fromisoformat(account.resources["profile"][profile].attributes["created"])
            assert created <= joined <= NOW


def test_tags_are_on_everything(account: Account) -> None:
    for type in ("list", "segment", "campaign", "flow"):
        assert {len(account.related(type, each.id, "tags")) > 0 for each in account.all(type)} == {True, False}
    groups = {len(account.related("tag-group", each.id, "tags")) for each in account.all("tag-group")}
    assert min(groups) == 0 < max(groups)


def test_campaigns(account: Account) -> None:
    campaigns, groups = account.all("campaign"), account.memberships
    kinds, methods, statuses = Counter[Any](), set(), set()
    clones = set()
    for campaign in campaigns:
        values, messages = campaign.attributes, account.related("campaign", campaign.id, "campaign-messages")
        channels = {account.resources["campaign-message"][id].attributes["definition"]["channel"] for id in messages}
        assert len(channels) == 1 and len(messages) == 1 + (values["send_strategy"]["method"] == "ab_test_campaign")
        kinds[channels.pop(), values["archived"]] += 1
        methods.add(values["send_strategy"]["method"])
        statuses.add(values["status"])
        assert (messages == [campaign.id]) == (len(campaign.id) == 6)
        assert set(values["audiences"]["included"] + values["audiences"]["excluded"]) <= groups.keys()
        unsent = values["status"] in ("Draft", "Unknown") or values["status"].startswith("Cancelled")
        assert (values["send_time"] is None) == unsent
        for id in messages:
            template = account.resources["campaign-message"][id].relationships["template"]
            assert template is None or values["status"] != "Draft"
            clones.add(template)
    assert len(kinds) == 6 and min(kinds.values()) > 1
    assert sum(count for (channel, _), count in kinds.items() if channel == "email") > 100, "more than a page"
    assert methods == {"static", "throttled", "immediate", "smart_send_time", "ab_test_campaign"}
    assert {"Draft", "Scheduled", "Sent", "Cancelled: Smart Sending", "Variations Sent"} <= statuses
    flow_templates = {each.relationships["template"] for each in account.all("flow-message")}
    assert None in clones and not clones & (flow_templates - {None})


def test_flows(account: Account) -> None:
    definitions = attributes(account, "flow-action", "definition")
    kinds = {definition["type"] for definition in definitions if definition}
    assert None in definitions
    assert {
        "send-email", "send-sms", "send-mobile-push", "send-webhook", "send-internal-alert", "send-whatsapp",
        "time-delay", "conditional-split", "trigger-split", "action-output-split", "content-experiment",
        "update-profile", "target-date", "back-in-stock-delay",
    } <= kinds  # fmt: skip
    assert set(attributes(account, "flow", "archived")) == {True, False}
    assert set(attributes(account, "flow", "status")) == {"live", "manual", "draft"}
    for message in account.all("flow-message"):
        template = message.relationships["template"]
        assert template is None or account.get("template", template)
        action = account.resources["flow-action"][message.relationships["flow-action"]]
        assert message.id in msgspec.json.encode(action.attributes["definition"]).decode()


def test_generation_is_fast() -> None:
    start = time.process_time()
    generate_account(now=NOW)
    assert time.process_time() - start < 4
