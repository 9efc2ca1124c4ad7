"""Campaigns of revision 2026-10-15, in the words of the tables."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.lost import noting
from klaviyo_assets.tables import campaigns
from klaviyo_assets.tables.jsonapi import Row, Rows
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets_tests.tables.test_bad_values import SHAPES, places, with_value

T9, T10, T11 = (f"2026-10-04T{hour:02}:00:00+00:00" for hour in (9, 10, 11))


def relation(**ids: Any) -> dict[str, Any]:
    """Relationships: `campaign_messages=["m"]`."""
    return {
        name.replace("_", "-"): {"data": [{"id": id} for id in value] if isinstance(value, list) else {"id": value}}
        for name, value in ids.items()
    }


def campaign(messages: list[str], audiences: list[str] = [], **definition: Any) -> Row:  # noqa: B006
    links = relation(campaign_messages=messages, campaign_audiences=audiences, tags=["t"])
    attributes = {"created_at": T9, "updated_at": T10, "definition": {"name": "Sale", **definition}}
    return {"id": "c", "type": "campaign", "attributes": attributes, "relationships": links}


def audience(id: str, **definition: Any) -> Row:
    return {"id": id, "type": "campaign-audience", "attributes": {"created": T9, "definition": definition}}


def message(id: str, variations: list[str] = [], *, status: Any = "sent", **definition: Any) -> Row:  # noqa: B006
    links = relation(campaign="c", campaign_variations=variations)
    attributes = {"created": T9, "updated": T10, "definition": {"status": status, **definition}}
    return {"id": id, "type": "campaign-message", "attributes": attributes, "relationships": links}


def variation(id: str, **details: Any) -> Row:
    definition = {"name": f"Variation {id}", "details": details}
    return {"id": id, "type": "campaign-variation", "attributes": {"created": T9, "definition": definition}}


def mapped(
    owner: Row, messages: list[Row], included: list[Row] | None = None, stored: Row | None = None, **more: Any
) -> Rows:
    found = campaigns.messages({"data": messages, "included": included or []})
    known = campaigns.Messages()
    known.add(found)
    audiences = [each for each in included or [] if each["type"] == "campaign-audience"]
    rows = campaigns.rows({"data": [owner], "included": audiences}, known, {"c": stored or {}}, **more)
    return rows | campaigns.message_rows(found.values())


def one(*messages: Row, stored: Row | None = None, **definition: Any) -> Row:
    (row,) = mapped(campaign([each["id"] for each in messages], **definition), list(messages), stored=stored)[
        "campaign"
    ]
    return row


def sending(strategy: str | None, time: str | None = T9, **options: Any) -> Row:
    return {"send_options": {"send_strategy": strategy, "send_time": time, **options}}


def test_every_declared_column_is_filled_by_the_mapping():
    tracking = {"tracking_params": [{"name": "utm_source"}]}
    rows = mapped(
        campaign(["m"], ["a"]),
        [message("m", ["v"], tracking_options=tracking, **sending("static"))],
        [variation("v", channel="email"), audience("a", included=["l"])],
    )
    assert set(rows) == {table.name for table in campaigns.TABLES}
    for table in campaigns.TABLES:
        assert [set(row) for row in rows[table.name]] == [set(table.types)]


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["draft"], "Draft"),
        (["scheduled", "draft"], "Scheduled"),
        (["sent", "sent", "cancelled"], "Sent"),
        (["sent", "draft"], "Sent"),
        (["sent", "scheduled"], "Sending"),
        (["sent", "sending"], "Sending"),
        (["cancelled", "cancelled"], "Cancelled"),
        (["paused"], "Paused"),
        ([None], None),
        ([], None),
    ],
)
def test_a_campaign_is_what_its_messages_are(statuses, status):
    row = one(*(message(f"m{n}", status=each, **sending("static")) for n, each in enumerate(statuses)))
    assert (row["status"], row["status_label"]) == (status, status)
    assert row["status_id"] == {"Sent": "1", "Draft": "2"}.get(status)
    assert row["sent_at"] == (T9 if status == "Sent" else None)


@pytest.mark.parametrize(
    ("strategy", "method", "is_local"),
    [
        ("static", "static", False),
        ("local_timezone", "static", True),
        ("throttled", "throttled", None),
        ("variation_per_second_throttled", "throttled", None),
        ("send_time_optimization", "smart_send_time", None),
        ("personalized_send_time_optimization", "smart_send_time", None),
        ("content_variation", "ab_test_campaign", None),
        ("content_variation_local_timezone", "ab_test_campaign", True),
        ("ab_send_time_test", "ab_test_campaign", None),
        ("a new one", "a new one", None),
        (None, None, None),
    ],
)
def test_send_strategies_have_the_words_of_before(strategy, method, is_local):
    row = one(message("m", **sending(strategy)), send_settings={"send_passed_rltz_immediately": True})
    prefix = "send_strategy_options"
    assert (row["send_strategy_method"], row[f"{prefix}_is_local"]) == (method, is_local)
    assert row[f"{prefix}_send_past_recipients_immediately"] is (True if is_local else None)
    assert row["send_strategy_datetime"] == (T9 if method in ("static", "throttled") else None)
    assert row[f"{prefix}_static_datetime"] == (T9 if method == "static" else None)
    assert row[f"{prefix}_throttled_datetime"] == (T9 if method == "throttled" else None)
    assert row[f"{prefix}_sto_date"] == (dt.date(2026, 10, 4) if method == "smart_send_time" else None)


def test_the_earliest_of_several_times_counts_if_anything_is_sent_then():
    messages = [message("m1", **sending("static", T11)), message("m2", status="draft", **sending("static", T9))]
    row = one(*messages, message("m3", **sending("static", "2026-10-04T12:00:00+02:00")))
    assert (row["send_time"], row["send_strategy_datetime"]) == ("2026-10-04T12:00:00+02:00", T9)


def test_what_is_no_longer_said_stays_as_it_is_stored():
    stored = {
        "updated": dt.datetime(2026, 10, 4, 10),
        "scheduled": dt.datetime(2026, 10, 1),
        "status": "Cancelled: No Recipients",
        "status_label": "Cancelled: No Recipients",
        "send_strategy_method": "immediate",
        "send_option_use_smart_sending": True,
        "send_strategy_options_throttled_throttle_percentage": 25.0,
    }
    row = one(message("m", status="cancelled", **sending("static", throttling_type="none")), stored=stored)
    assert {name: row[name] for name in campaigns.STORED if name != "updated"} == {
        name: value for name, value in stored.items() if name != "updated"
    }
    assert row["send_strategy_datetime"] is None, "it was sent at once"
    changed = {**stored, "updated": dt.datetime(2026, 10, 3)}
    row = one(message("m", status="sent", **sending("throttled", throttling_type="none")), stored=changed)
    assert (row["status"], row["send_strategy_method"], row["send_option_use_smart_sending"]) == (
        ("Sent", "throttled", False)
    )
    assert (row["scheduled"], row["send_strategy_options_throttled_throttle_percentage"]) == (
        (stored["scheduled"], 25.0)
    )


def test_a_message_says_what_its_first_variation_says():
    rows = mapped(
        campaign(["m2", "m1"]),
        [message("m1", ["v3"]), message("m2", ["v2", "v1"], name="Second")],
        [
            variation("v1", channel="email", subject="A", from_email="a@x", template_id="t1"),
            variation("v2", channel="push", title="Hi", body="There", kv_pairs={"screen": "sale"}),
            variation("v3", channel="whatsapp", template_id="w", shorten_links=True),
        ],
    )
    assert [row["id"] for row in rows["campaign_variation"]] == ["v3", "v2", "v1"]
    assert {row["id"]: row["channel"] for row in rows["campaign_variation"]} == {
        "v1": "email", "v2": "mobile_push", "v3": "whatsapp"
    }  # fmt: skip
    first, second = rows["campaign_message"]
    assert (first["channel"], first["template_id"], first["render_options_shorten_links"]) == ("whatsapp", "w", True)
    assert (first["label"], second["label"]) == ("Variation v3", "Second")
    assert (second["channel"], second["content_body"], second["content_subject"]) == ("mobile_push", "There", None)
    (row,) = rows["campaign"]
    assert (row["campaign_type"], row["subject"], row["email_template_id"]) == ("mobile_push", None, None)
    assert campaigns.campaign_of_message(rows["campaign_message"]) == {"m1": "c", "m2": "c"}


def test_without_its_first_variation_nobody_knows_what_a_message_says():
    with noting() as lost:
        rows = mapped(campaign(["m"]), [message("m", ["v1", "v2"])], [variation("v2", channel="email")])
    assert rows["campaign"] == rows["campaign_message"] == rows["campaign_variation"] == []
    assert str(lost) == "included (1 value; id v1)"
    assert len(rows["campaign_tag"]) == 1


def test_lists_of_several_audiences():
    rows = mapped(
        campaign([], ["a1", "a2"]),
        [],
        [
            audience("a1", name="First", priority=1, included=["l", "both"], excluded=["x", "both", "later"]),
            audience("a2", included=["later", "l"], excluded=["l"]),
            audience("other", included=["other"]),
        ],
    )
    assert {row["list_id"]: row["list_included_or_excluded"] for row in rows["campaign_list"]} == {
        "l": "included", "both": "excluded", "x": "excluded", "later": "included"
    }  # fmt: skip
    assert [(row["id"], row["priority"], row["excluded"]) for row in rows["campaign_audience"]] == [
        ("a1", 1, ["x", "both", "later"]),
        ("a2", None, ["l"]),
    ]


def test_send_times_of_a_message_and_of_its_variations():
    times = {"v1": T10, "v2": [{"datetime": T11}]}
    options = sending("content_variation_local_timezone", T9, send_times=times)
    rows = mapped(
        campaign(["m"]),
        [message("m", ["v1", "v2"], **options), message("draft", status="draft", **options)],
        [variation("v1"), variation("v2")],
    )
    assert [(row["datetime"], row["is_local"]) for row in rows["campaign_message_send_time"]] == [
        (T9, True), (T10, True), (T11, True)
    ]  # fmt: skip
    assert [row["send_time"] for row in rows["campaign_variation"]] == [T10, T11]


def test_parameters_are_those_of_the_first_message_that_has_them():
    first = {"tracking_params": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}
    second = {"tracking_params": [{"name": "a", "value": "3"}, {"name": "b", "value": "4"}]}
    kept = {"c": [{"name": "z", "campaign_id": "c", "type": "static", "value": "9"}]}

    def params(*options: Any) -> dict[str, str]:
        messages = [message(f"m{n}", tracking_options=each) for n, each in enumerate(options)]
        rows = mapped(campaign([each["id"] for each in messages]), messages, stored_params=kept)
        return {row["name"]: row["value"] for row in rows["campaign_tracking_utm_param"]}

    assert params(first, second) == {"a": "2", "b": "4"}
    assert params({"is_add_utm": True}, None) == {"z": "9"}, "no answer has them"
    assert params({"tracking_params": None}, {}) == {}


@pytest.mark.parametrize("nothing", [None, {}])
def test_anything_may_be_null_or_empty(nothing):
    given = dict.fromkeys(("send_options", "tracking_options", "ab_test"), nothing)
    rows = mapped(
        campaign(["m", "gone"], ["a"], send_settings=nothing),
        [message("m", ["v"], **given)],
        [{**variation("v"), "attributes": {"created": T9, "definition": nothing}}, audience("a")],
    )
    assert {name: len(found) for name, found in rows.items() if found} == {
        "campaign": 1, "campaign_message": 1, "campaign_variation": 1, "campaign_tag": 1, "campaign_audience": 1
    }  # fmt: skip
    assert campaigns.messages({"data": None, "included": None}) == {}


def test_any_value_in_any_place_ends_nothing():
    """What has another shape than it should counts as missing, or is text in its column."""
    tracking = {"is_add_utm": True, "tracking_params": [{"name": "a", "type": "static", "value": "1"}]}
    options = sending("static", send_times={"v": [T9]}, throttling_type="none")
    document = {
        "campaigns": [campaign(["m"], ["a"], archived=True, send_settings={"send_timezone": "UTC"})],
        "messages": [message("m", ["v"], tracking_options=tracking, ab_test={"winner_metric": "x"}, **options)],
        "included": [variation("v", channel="email", template_id="t"), audience("a", included=["l"], excluded=["x"])],
    }
    for path in places(document):
        if len(path) < 3:
            continue
        for raw in SHAPES:
            changed = json.loads(with_value(document, path, raw))
            known = campaigns.Messages()
            with noting():
                known.add(campaigns.messages({"data": changed["messages"], "included": changed["included"]}))
                rows = campaigns.rows({"data": changed["campaigns"], "included": changed["included"]}, known)
                rows |= campaigns.message_rows(known.by_id.values())
            for table in campaigns.TABLES:
                for row in rows[table.name]:
                    assert all(row[name] not in (None, "") for name in table.primary_key), (path, raw)
                typed_batch(Columns.of_rows(rows[table.name], table.types), table, on_lost=lambda *_: None)
