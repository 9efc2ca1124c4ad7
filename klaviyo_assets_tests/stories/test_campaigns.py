"""Campaigns of several audiences and channels, row by row; and what a change of the API's revision does to the rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.account.omnichannel import omnichannel
from klaviyo_assets.sandbox.api.errors import ApiError
from klaviyo_assets.sandbox.faults import Call, Document, Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.tables.campaigns import LATER, TABLES
from klaviyo_assets.tables.registry import table
from klaviyo_assets_tests.conftest import Project, only, without_campaigns
from klaviyo_assets_tests.expected import stored

NAMES = [each.name for each in TABLES]
BEFORE = NAMES[:6]
"""The tables that earlier revisions fill."""

Rows = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def shop(**given: Any) -> Account:
    return generate_account(events=20, profiles=5, days=20, seed=5, **given)


def rows(project: Project) -> Rows:
    """Every row of the campaign tables, without the time of its sync."""
    return {
        name: {
            tuple(row[key] for key in table(name).primary_key): {
                column: value for column, value in row.items() if column != "_fivetran_synced"
            }
            for row in stored(project.warehouse, name)
        }
        for name in NAMES
    }


def flagged(found: Rows) -> dict[str, set[tuple[Any, ...]]]:
    found = {name: {key: row for key, row in some.items() if row["_fivetran_deleted"]} for name, some in found.items()}
    return {name: set(some) for name, some in found.items() if some}


def refusing(status: int) -> Callable[[Call], Status | None]:
    """A key for which Klaviyo refuses the revision of the campaigns."""

    def hook(call: Call) -> Status | None:
        if call.headers["revision"] == "2026-07-15" or not (call.operation or "").startswith("get_campaign"):
            return None
        return Status(status, body=ApiError(status, "not_available", "This revision is not available.").body())

    return hook


# Every row by hand


@pytest.fixture
def klaviyo(project: Callable[..., Project]) -> Callable[[Account], Project]:
    return lambda account: project(account, tables=only(*NAMES))


AT = "2026-10-0{day}T{hour:02}:00:00+00:00"
CONTENT: dict[str, dict[str, Any]] = {
    "email": {"subject": "Tea", "preview_text": "New", "from_email": "a@x", "from_label": "Acme", "cc_email": ""},
    "sms": {"body": "Tea!", "shorten_links": True, "text_message_type": "MMS", "cost": 0.02, "add_org_prefix": False},
    "push": {"title": "Acme", "body": "Tea?", "push_type": "standard", "kv_pairs": {"screen": "tea"}},
}


def everywhere(account: Account) -> None:
    """A campaign of 3 audiences, each with 2 messages, each of 2 variations; an audience has a channel."""
    settings = {"send_strategy": "content_variation", "send_passed_rltz_immediately": True}
    definition = {
        "name": "Tea",
        "builder": "canvas",
        "archived": False,
        "description": "All",
        "send_settings": settings,
    }
    stamps = {"created_at": AT.format(day=1, hour=8), "updated_at": AT.format(day=1, hour=9)}
    account.add(Resource("canvas-campaign", "C", {**stamps, "definition": definition}, {"tags": ["T"]}))
    groups = [(["L1"], ["L3"]), (["L2", "L1"], []), (["L3"], ["L1", "S1"])]
    for number, (channel, (included, excluded)) in enumerate(zip(CONTENT, groups, strict=True), start=1):
        stamp = {name: AT.format(day=2, hour=number) for name in ("created", "updated")}
        audience = {"name": f"Audience {number}", "priority": number, "included": included, "excluded": excluded}
        account.add(
            Resource("canvas-audience", f"A{number}", {**stamp, "definition": audience}, {"canvas-campaign": "C"})
        )
        for step in (1, 2):
            id = f"M{number}{step}"
            message = {
                "name": f"Message {number}.{step}",
                "status": "sent" if step == 1 else "scheduled",
                "tracking_options": {
                    "is_add_utm": step == 1,
                    "is_tracking_clicks": True,
                    "is_tracking_opens": False,
                    "tracking_params": [{"name": f"utm_{step}", "type": "static", "value": f"{number}"}],
                },
                "send_options": {
                    "send_time": AT.format(day=2 + step, hour=10 + number),
                    "send_times": {f"V{number}{step}b": AT.format(day=5, hour=number)} if step == 2 else None,
                    "send_strategy": "ab_send_time_test" if step == 2 else "content_variation_local_timezone",
                    "recipient_percentage": None,
                    "throttling_type": "none",
                    "throttle_unit": None,
                    "is_ignoring_unsubscribes": False,
                },
                "ab_test": {"winner_metric": "opens_unique", "winner_percentage": 60 + step, "winner_wait_hours": 4},
            }
            links: dict[str, Any] = {"canvas-campaign": "C", "canvas-audience": f"A{number}"}
            account.add(Resource("canvas-message", id, {**stamp, "definition": message}, links))
            for letter in "ab":
                details = {"channel": channel, **CONTENT[channel]}
                if channel == "email":
                    account.add(Resource("template", f"t{step}{letter}", {"name": "copy", **stamp}))
                    details["template_id"] = f"t{step}{letter}"
                content = {**stamp, "definition": {"name": letter.upper(), "details": details}}
                account.add(Resource("canvas-variation", f"V{number}{step}{letter}", content, {"canvas-message": id}))


def at(day: int, hour: int) -> dt.datetime:
    return dt.datetime.fromisoformat(AT.format(day=day, hour=hour)).replace(tzinfo=None)


def ids_of(account: Account, type: str) -> set[str]:
    return {each.id for each in account.all(type)}


def compact(found: Rows, name: str) -> list[dict[str, Any]]:
    """Rows without what is NULL and without the flag, in the order of their keys."""
    return [
        {column: value for column, value in row.items() if value is not None and column != "_fivetran_deleted"}
        for _, row in sorted(found[name].items())
    ]


def test_a_campaign_of_three_audiences_on_three_channels_row_by_row(klaviyo: Callable[[Account], Project]) -> None:
    account = without_campaigns(shop())
    account.add(Resource("tag", "T", {"name": "tea"}))
    everywhere(account)
    project = klaviyo(account)
    project.refresh()
    found = rows(project)
    assert compact(found, "campaign") == [
        {
            "id": "C",
            "archived": False,
            "builder": "canvas",
            "campaign_type": "email",
            "created": at(1, 8),
            "description": "All",
            "email_template_id": "t1a",
            "from_email": "a@x",
            "from_name": "Acme",
            "name": "Tea",
            "send_option_ignore_unsubscribes": False,
            "send_option_use_smart_sending": False,
            "send_strategy_method": "ab_test_campaign",
            "send_strategy_options_is_local": True,
            "send_strategy_options_send_past_recipients_immediately": True,
            "send_time": at(3, 11),
            "status": "Sending",
            "status_label": "Sending",
            "subject": "Tea",
            "tracking_options_add_tracking_params": True,
            "tracking_options_is_add_utm": True,
            "tracking_options_is_tracking_clicks": True,
            "tracking_options_is_tracking_opens": False,
            "updated": at(1, 9),
        }
    ]
    lists = {"L1": "included", "L2": "included", "L3": "included", "S1": "excluded"}
    assert {row["list_id"]: row["list_included_or_excluded"] for row in compact(found, "campaign_list")} == lists
    assert len(found["campaign_list"]) == 4
    assert compact(found, "campaign_tag") == [{"campaign_id": "C", "tag_id": "T"}]
    assert compact(found, "campaign_tracking_utm_param") == [
        {"name": f"utm_{step}", "campaign_id": "C", "type": "static", "value": "1"} for step in (1, 2)
    ]
    groups = [('["L1"]', '["L3"]'), ('["L2","L1"]', "[]"), ('["L3"]', '["L1","S1"]')]
    assert compact(found, "campaign_audience") == [
        {
            "id": f"A{number}",
            "campaign_id": "C",
            "created": at(2, number),
            "excluded": excluded,
            "included": included,
            "name": f"Audience {number}",
            "priority": number,
            "updated": at(2, number),
        }
        for number, (included, excluded) in enumerate(groups, start=1)
    ]
    own: dict[int, dict[str, Any]] = {
        1: {"channel": "email", "subject": "Tea", "preview_text": "New", "from_email": "a@x", "from_label": "Acme"},
        2: {"channel": "sms", "body": "Tea!", "shorten_links": True, "add_org_prefix": False},
        3: {"channel": "mobile_push", "body": "Tea?"},
    }
    options = {"shorten_links", "add_org_prefix"}
    prefixed = {
        number: {
            name if name == "channel" else f"{'render_options' if name in options else 'content'}_{name}": value
            for name, value in content.items()
        }
        for number, content in own.items()
    }
    assert compact(found, "campaign_message") == [
        {
            "id": f"M{number}{step}",
            "ab_test_winner_metric": "opens_unique",
            "ab_test_winner_percentage": 60 + step,
            "ab_test_winner_wait_hours": 4,
            "campaign_audience_id": f"A{number}",
            "campaign_id": "C",
            "created": at(2, number),
            "label": f"Message {number}.{step}",
            "send_strategy": "ab_send_time_test" if step == 2 else "content_variation_local_timezone",
            "status": "sent" if step == 1 else "scheduled",
            "throttling_type": "none",
            "updated": at(2, number),
            **prefixed[number],
            **({"template_id": f"t{step}a"} if number == 1 else {}),
        }
        for number in (1, 2, 3)
        for step in (1, 2)
    ]
    more: dict[int, dict[str, Any]] = {
        1: {}, 2: {"text_message_type": "MMS", "cost": 0.02},
        3: {"title": "Acme", "push_type": "standard", "kv_pairs": '{"screen":"tea"}'},
    }  # fmt: skip
    assert compact(found, "campaign_variation") == [
        {
            "id": f"V{number}{step}{letter}",
            "campaign_message_id": f"M{number}{step}",
            "created": at(2, number),
            "name": letter.upper(),
            "updated": at(2, number),
            **own[number],
            **more[number],
            **({"template_id": f"t{step}{letter}"} if number == 1 else {}),
            **({"send_time": at(5, number)} if (step, letter) == (2, "b") else {}),
        }
        for number in (1, 2, 3)
        for step in (1, 2)
        for letter in "ab"
    ]
    assert {key: row["is_local"] for key, row in found["campaign_message_send_time"].items()} == {
        **{(at(3, 10 + number), f"M{number}1"): True for number in (1, 2, 3)},
        **{(at(4, 10 + number), f"M{number}2"): False for number in (1, 2, 3)},
        **{(at(5, number), f"M{number}2"): False for number in (1, 2, 3)},
    }
    assert project.differences(*NAMES) == []


# The switch


SAME_STATUS = ("Sent", "Draft", "Scheduled", "Cancelled")
GIVEN_NOW = {"label", "campaign_audience_id", *LATER["campaign"], *LATER["campaign_message"]}
"""Columns that only later answers fill, or fill for more channels."""


def test_the_switch_of_the_revision_is_no_event(klaviyo: Callable[[Account], Project]) -> None:
    account = shop()
    project = klaviyo(account)
    project.sandbox.faults.append(refusing(400))
    project.refresh()
    before = rows(project)
    single = ids_of(account, "campaign")
    assert {key[0] for key in before["campaign"]} == single, "earlier revisions do not show the others"
    assert len({row["status"] for row in before["campaign"].values()}) > 5
    assert not before["campaign_audience"] and not before["campaign_variation"]

    project.sandbox.faults.clear()
    project.sandbox.requests.clear()
    project.refresh()
    assert project.sandbox.requests.counts()["get_campaigns"] == 3
    after = rows(project)
    assert flagged(after) == {}
    for name in BEFORE:
        owners = {id for type in ("campaign", "message") for id in ids_of(account, f"canvas-{type}")}
        assert before[name].keys() <= after[name].keys(), name
        added = after[name].keys() - before[name].keys()
        assert all(owners & set(key) for key in added), (name, "is of a campaign that was there")
        for key, row in before[name].items():
            now = after[name][key]
            changed = {column for column, value in now.items() if value != row[column]}
            changed -= {column for column in changed & GIVEN_NOW if row[column] is None}
            if name == "campaign" and not str(row["status"]).startswith(SAME_STATUS):
                changed -= {"status", "status_label", "status_id", "sent_at"}
            assert changed == set(), (name, key, [(column, row[column], now[column]) for column in changed])
    shown = omnichannel(account)
    for name, type in (("campaign", "campaign"), ("campaign_message", "campaign-message")):
        assert {key[0] for key in after[name]} == {each.id for each in shown.all(type)}

    project.refresh()
    assert rows(project) == after, "what is kept stays so"


def test_a_change_is_imported_before_the_day_is_over(klaviyo: Callable[[Account], Project]) -> None:
    project = klaviyo(shop())
    project.sync()
    account, log = project.account, project.sandbox.requests

    def asked_at_night() -> int:
        account.clock.advance(dt.timedelta(hours=1))
        log.clear()
        project.sync()
        return len(log.of("get_campaigns")) + len(log.of("get_campaign_messages"))

    assert asked_at_night() == asked_at_night() == 3, "one question each, and one for archived campaigns"
    for type, change in (
        ("campaign", {"name": "Another name"}),
        ("campaign-message", {"label": "Another label"}),
        ("campaign", {"archived": True}),
        ("campaign", {"name": "Renamed in the archive"}),
        ("campaign", {"archived": False}),
    ):
        id = sorted(ids_of(account, type))[0]
        account.clock.advance(dt.timedelta(minutes=1))
        account.update(type, id, **change)
        assert asked_at_night() <= 3, "this sync finds it"
        assert asked_at_night() > 3, "and the next one imports it"
        assert project.differences("campaign", "campaign_message") == []
    assert asked_at_night() == 3

    project.sandbox.faults.append(refusing(400))
    account.update("campaign", sorted(ids_of(account, "campaign"))[0], name="Unseen")
    asked_at_night()
    assert asked_at_night() == 3, "who may not ask waits for the day to be over"


def test_parameters_that_no_answer_has_stay_as_they_are_stored(project: Callable[..., Project]) -> None:
    name = "campaign_tracking_utm_param"
    klaviyo = project(shop(), tables=only(name), blocked_columns={name: ["type"]}, delete_guard=1)
    klaviyo.refresh()

    def without_params(page: dict[str, Any]) -> None:
        for message in page["data"]:
            (message["attributes"]["definition"]["tracking_options"] or {}).pop("tracking_params", None)

    klaviyo.sandbox.faults.append(
        lambda call: Document(without_params) if call.operation == "get_campaign_messages" else None
    )
    before = contents(klaviyo, name)
    klaviyo.refresh()
    assert before and contents(klaviyo, name) == before


def contents(project: Project, name: str) -> list[dict[str, Any]]:
    """Every row of a table, without the time of its sync."""
    found = [{**row, "_fivetran_synced": None} for row in stored(project.warehouse, name)]
    return sorted(found, key=lambda row: [str(row[key]) for key in table(name).primary_key])


def test_a_status_in_more_words_stays_where_its_older_name_alone_is_stored(project: Callable[..., Project]) -> None:
    klaviyo = project(shop(), tables=only("campaign"), blocked_columns={"campaign": ["status"]})

    def cancelled() -> list[tuple[Any, Any]]:
        labels = ((row["id"], row["status_label"]) for row in stored(klaviyo.warehouse, "campaign"))
        return sorted(each for each in labels if str(each[1]).startswith("Cancelled: "))

    klaviyo.sandbox.faults.append(refusing(400))
    klaviyo.refresh()
    before = cancelled()
    klaviyo.sandbox.faults.clear()
    klaviyo.refresh()
    assert before and cancelled() == before


@pytest.mark.parametrize("unsaid", ["campaign", "campaign-variations"])
def test_what_a_list_of_messages_does_not_say_is_asked_elsewhere(
    klaviyo: Callable[[Account], Project], unsaid: str
) -> None:
    project = klaviyo(shop())
    project.refresh()
    before = rows(project)

    def without(page: dict[str, Any]) -> None:
        for message in page["data"]:
            del message["relationships"][unsaid]["data"]
        page["included"] = [each for each in page["included"] if f"{each['type']}s" != unsaid]

    project.sandbox.faults.append(lambda call: Document(without) if call.operation == "get_campaign_messages" else None)
    project.refresh()
    assert rows(project) == before


def test_a_key_for_the_earlier_revision_alone_still_sees_deletes(klaviyo: Callable[[Account], Project]) -> None:
    account = shop()
    project = klaviyo(account)
    project.sandbox.faults.append(refusing(403))
    project.refresh()
    before = rows(project)
    gone = account.all("campaign")[0].id
    account.delete("campaign", gone)
    result = project.refresh()
    assert any("Campaigns were read in revision 2026-07-15" in message for message in warnings(project, result))
    assert flagged(rows(project))["campaign"] == {(gone,)}
    assert (
        flagged(rows(project)).keys() <= set(BEFORE) and before["campaign"].keys() == rows(project)["campaign"].keys()
    )


def test_in_the_earlier_revision_a_request_shows_the_template_of_a_message_that_has_changed(
    klaviyo: Callable[[Account], Project],
) -> None:
    account = shop()
    project = klaviyo(account)
    project.sandbox.faults.append(refusing(403))
    project.refresh()
    templates = {key[0]: row["template_id"] for key, row in rows(project)["campaign_message"].items()}
    campaign, message = next(
        (each.id, message)
        for each in account.all("campaign")
        if each.attributes["status"] == "Sent"
        for message in account.related("campaign", each.id, "campaign-messages")
        if templates[message]
    )
    other = next(each.id for each in account.all("template") if each.id != templates[message])
    account.relate("campaign-message", message, "template", other)
    account.update("campaign-message", message, label="Changed")
    account.update("campaign", campaign, name="Changed")
    sent = {each.id for each in account.all("campaign") if each.attributes["status"] == "Sent"}
    project.sandbox.requests.clear()
    project.refresh()
    assert {key[0]: row["template_id"] for key, row in rows(project)["campaign_message"].items()} == {
        **templates,
        message: other,
    }
    asked = {request.path.split("/")[-2] for request in project.sandbox.requests.of("get_messages_for_campaign")}
    assert asked & sent == {campaign}, "of what was sent only what has changed"


def warnings(project: Project, result: Any) -> list[str]:
    entries = project.instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if entry.level >= 30]


def test_what_only_the_later_revision_shows_outlives_its_refusal(klaviyo: Callable[[Account], Project]) -> None:
    account = shop()
    project = klaviyo(account)
    project.refresh()
    before = rows(project)
    project.sandbox.faults.append(refusing(400))
    gone, renamed = (each.id for each in account.all("campaign")[:2])
    account.delete("campaign", gone)
    account.rename("campaign", renamed, "Renamed meanwhile")
    result = project.refresh()
    assert any("no campaign is flagged as deleted meanwhile" in message for message in warnings(project, result))
    during = rows(project)
    assert flagged(during) == {}
    assert during["campaign"][renamed,]["name"] == "Renamed meanwhile"
    for name in NAMES:
        assert during[name].keys() == before[name].keys(), name
        kept = [*LATER.get(name, ()), *(["label"] if name == "campaign_message" else [])]
        for key, row in before[name].items():
            assert {c: during[name][key][c] for c in kept} == {c: row[c] for c in kept}, (name, key)
    project.sandbox.faults.clear()
    project.refresh()
    after = rows(project)
    assert flagged(after)["campaign"] == {(gone,)}
    assert {name: some.keys() for name, some in after.items()} == {name: some.keys() for name, some in before.items()}
    of_canvas = {(each.id,) for each in account.all("canvas-campaign")}
    assert {key: after["campaign"][key] for key in of_canvas} == {key: before["campaign"][key] for key in of_canvas}


@pytest.mark.parametrize("blocked", [{}, {"campaign": ["builder", "description"]}])
def test_a_refusal_flags_nothing_where_no_column_tells_the_revisions_apart(
    project: Callable[..., Project], blocked: dict[str, list[str]]
) -> None:
    name = "campaign" if blocked else "campaign_list"
    klaviyo = project(shop(), tables=only(name), blocked_columns=blocked)
    klaviyo.refresh()
    klaviyo.sandbox.faults.append(refusing(400))
    result = klaviyo.refresh()
    assert any("no campaign is flagged as deleted meanwhile" in message for message in warnings(klaviyo, result))
    assert not any(row["_fivetran_deleted"] for row in stored(klaviyo.warehouse, name))


def test_without_its_scope_a_refusal_is_no_reason_for_the_earlier_revision(
    klaviyo: Callable[[Account], Project],
) -> None:
    account = shop()
    account.keys["pk_sandbox"] = frozenset({"events:read", "profiles:read", "metrics:read", "accounts:read"})
    project = klaviyo(account)
    result = project.refresh()
    told = warnings(project, result)
    assert any("lacks the scope campaigns:read" in message for message in told)
    assert not any("2026-07-15" in message for message in told)
