from __future__ import annotations

from typing import Any

import pytest

from klaviyo_assets.schema.lost import noting
from klaviyo_assets.tables import campaigns as tables
from klaviyo_assets.tables import earlier_campaigns as campaigns
from klaviyo_assets_tests.reference import recorded


def with_message(message: dict[str, Any]) -> dict[str, Any]:
    """The recorded page of campaigns, as it is with `include=campaign-messages`."""
    return {**recorded("get_campaigns.200"), "included": [message]}


def test_recorded_campaign():
    rows = campaigns.rows(with_message(recorded("get_messages_for_campaign.200")["data"][0]))
    assert rows == {
        "campaign": [
            {
                "id": "01M1PA99J4GSD6B3XGYF78793W",
                "archived": False,
                "created": "2026-09-04T13:38:44.935203+00:00",
                "name": "sdk-smoke-09048514-c",
                "scheduled": None,
                "send_option_ignore_unsubscribes": False,
                "send_option_use_smart_sending": True,
                "send_strategy_datetime": "2026-10-04T09:00:00+00:00",
                "send_strategy_method": "static",
                "send_strategy_options_is_local": False,
                "send_strategy_options_send_past_recipients_immediately": None,
                "send_strategy_options_static_datetime": "2026-10-04T09:00:00+00:00",
                "send_strategy_options_static_is_local": False,
                "send_strategy_options_static_send_past_recipients_immediately": None,
                "send_strategy_options_sto_date": None,
                "send_strategy_options_throttled_datetime": None,
                "send_strategy_options_throttled_throttle_percentage": None,
                "send_time": None,
                "status": "Draft",
                "tracking_options_add_tracking_params": True,
                "tracking_options_is_add_utm": True,
                "tracking_options_is_tracking_clicks": True,
                "tracking_options_is_tracking_opens": True,
                "updated": "2026-09-04T13:38:45.575329+00:00",
                "campaign_type": "email",
                "email_template_id": None,
                "from_email": "customer@example.com",
                "from_name": "SDK Smoke",
                "sent_at": None,
                "status_id": "2",
                "status_label": "Draft",
                "subject": "SDK smoke 09048514",
            }
        ],
        "campaign_list": [
            {
                "campaign_id": "01M1PA99J4GSD6B3XGYF78793W",
                "list_id": "VAnKig",
                "list_included_or_excluded": "included",
            }
        ],
        "campaign_message": [
            {
                "id": "01M1PA99JBS13TE33GQ4YRESFN",
                "campaign_id": "01M1PA99J4GSD6B3XGYF78793W",
                "template_id": None,
                "channel": "email",
                "content_bcc_email": "customer@example.com",
                "content_body": None,
                "content_cc_email": "customer@example.com",
                "content_from_email": "customer@example.com",
                "content_from_label": "SDK Smoke",
                "content_media_url": None,
                "content_preview_text": "Preview text for 09048514",
                "content_reply_to_email": "customer@example.com",
                "content_subject": "SDK smoke 09048514",
                "created": "2026-09-04T13:38:44.942300+00:00",
                "label": "sdk-smoke-09048514-msg",
                "render_options_add_info_link": None,
                "render_options_add_opt_out_language": None,
                "render_options_add_org_prefix": None,
                "render_options_include_contact_card": None,
                "render_options_shorten_links": None,
                "updated": "2026-09-04T13:38:45.263985+00:00",
            }
        ],
        "campaign_message_send_time": [],
        "campaign_tracking_utm_param": [
            {
                "name": "utm_source",
                "campaign_id": "01M1PA99J4GSD6B3XGYF78793W",
                "type": "static",
                "value": "sdk-smoke",
            },
            {"name": "utm_medium", "campaign_id": "01M1PA99J4GSD6B3XGYF78793W", "type": "static", "value": "email"},
            {
                "name": "utm_campaign",
                "campaign_id": "01M1PA99J4GSD6B3XGYF78793W",
                "type": "dynamic",
                "value": "campaign_name",
            },
        ],
        "campaign_tag": [],
    }


def test_without_its_first_message_nobody_knows_what_a_campaign_says():
    with noting() as lost:
        rows = campaigns.rows(recorded("get_campaigns.200"))
    assert rows["campaign"] == rows["campaign_message"] == []
    assert len(rows["campaign_list"]) == 1
    assert str(lost) == "included (1 value; id 01M1PA99JBS13TE33GQ4YRESFN)"


def campaign(id: str = "c", messages: tuple[str, ...] = (), tags: Any = None, **attributes: Any) -> dict[str, Any]:
    data = [{"type": "campaign-message", "id": message} for message in messages]
    relationships = {"campaign-messages": {"data": data}, "tags": {"data": tags}}
    attributes.setdefault("name", None)
    return {"type": "campaign", "id": id, "attributes": attributes, "relationships": relationships}


def message(id: str, **attributes: Any) -> dict[str, Any]:
    attributes.setdefault("created_at", None)
    return {"type": "campaign-message", "id": id, "attributes": attributes, "relationships": {}}


def one(*included: dict[str, Any], **given: Any) -> dict[str, Any]:
    (row,) = campaigns.rows({"data": [campaign(**given)], "included": list(included)})["campaign"]
    return row


def test_every_declared_column_is_filled_by_the_mapping():
    document = {
        "data": [
            campaign(
                messages=("m",),
                tags=[{"id": "t"}],
                audiences={"included": ["l"]},
                tracking_options={"custom_tracking_params": [{"name": "utm_source"}]},
            )
        ],
        "included": [message("m", send_times=[{"datetime": "2026-09-04T11:20:00+00:00"}])],
    }
    rows = campaigns.rows(document)
    assert list(rows) == [table.name for table in tables.TABLES][:6]
    for table in tables.TABLES[:6]:
        assert [set(row) for row in rows[table.name]] == [set(table.types) - set(tables.LATER.get(table.name, ()))]


def test_send_strategies():
    throttled = one(
        send_strategy={
            "method": "throttled",
            "datetime": "2026-10-04T09:00:00+00:00",
            "throttle_percentage": 25,
            "options": {"is_local": True},
        }
    )
    assert throttled["send_strategy_options_is_local"] is True
    assert throttled["send_strategy_options_static_is_local"] is None
    assert throttled["send_strategy_datetime"] == "2026-10-04T09:00:00+00:00"
    assert throttled["send_strategy_options_throttled_datetime"] == "2026-10-04T09:00:00+00:00"
    assert throttled["send_strategy_options_throttled_throttle_percentage"] == 25
    assert throttled["send_strategy_options_static_datetime"] is None
    smart = one(send_strategy={"method": "smart_send_time", "date": "2026-10-04"})
    assert smart["send_strategy_options_sto_date"] == "2026-10-04"
    local = {"is_local": True, "send_past_recipients_immediately": True}
    static = one(send_strategy={"method": "static", "datetime": "2026-10-04T09:00:00+00:00", "options": local})
    assert static["send_strategy_options_static_is_local"] is static["send_strategy_options_is_local"] is True
    assert static["send_strategy_options_static_send_past_recipients_immediately"] is True
    assert one(send_strategy={"method": "a new one"})["send_strategy_method"] == "a new one"


def test_sent_campaign_with_its_first_message():
    second = {
        "channel": "sms",
        "content": {"body": "Hi", "media_url": "https://x"},
        "render_options": {"shorten_links": True},
    }
    first = {"channel": "email", "content": {"subject": "A", "from_email": "a@x", "from_label": "Ann"}}
    document = {
        "data": [campaign(messages=("m1", "m2"), status="Sent", send_time="2026-09-04T11:20:00+00:00")],
        "included": [message("m2", definition=second), message("m1", definition=first)],
    }
    rows = campaigns.rows(document, {"m1": "t1", "m2": ""})
    (row,) = rows["campaign"]
    assert (row["status_id"], row["status_label"], row["sent_at"]) == ("1", "Sent", "2026-09-04T11:20:00+00:00")
    assert (row["subject"], row["from_email"], row["from_name"], row["email_template_id"], row["campaign_type"]) == (
        ("A", "a@x", "Ann", "t1", "email")
    )
    sms = rows["campaign_message"][0]
    assert (sms["content_body"], sms["content_media_url"], sms["render_options_shorten_links"]) == (
        "Hi",
        "https://x",
        True,
    )
    assert sms["template_id"] is None
    assert tables.campaign_of_message(rows["campaign_message"]) == {"m1": "c", "m2": "c"}


def test_only_a_sent_campaign_has_been_sent():
    row = one(status="Cancelled: No Recipients", send_time="2026-09-04T11:20:00+00:00")
    assert (row["sent_at"], row["status_id"], row["status"]) == (None, None, "Cancelled: No Recipients")


@pytest.mark.parametrize("nothing", [None, {}])
def test_anything_may_be_null_or_empty(nothing):
    given = dict.fromkeys(("audiences", "send_options", "tracking_options", "send_strategy"), nothing)
    document = {"data": [campaign(messages=("m", "gone"), **given)], "included": [message("m", definition=nothing)]}
    rows = campaigns.rows(document)
    assert {name: len(found) for name, found in rows.items()} == {
        "campaign": 1,
        "campaign_list": 0,
        "campaign_message": 1,
        "campaign_message_send_time": 0,
        "campaign_tracking_utm_param": 0,
        "campaign_tag": 0,
    }
    assert campaigns.rows({"data": None, "included": None})["campaign"] == []


def test_one_row_per_key():
    document = {
        "data": [
            campaign(
                audiences={"included": ["a", "b", "", "a"], "excluded": ["b"]},
                tracking_options={
                    "custom_tracking_params": [{"name": "utm", "value": "1"}, {"name": "utm", "value": "2"}, None]
                },
                tags=[{"type": "tag", "id": "t"}, {"type": "tag", "id": "t"}],
                messages=("m",),
            )
        ],
        "included": [
            message(
                "m", send_times=[{"datetime": "2026-01-01T00:00:00Z", "is_local": local} for local in (True, False)]
            )
        ],
    }
    rows = campaigns.rows(document)
    assert {row["list_id"]: row["list_included_or_excluded"] for row in rows["campaign_list"]} == {
        "a": "included",
        "b": "excluded",
    }
    assert len(rows["campaign_list"]) == 2
    assert [row["value"] for row in rows["campaign_tracking_utm_param"]] == ["2"]
    assert rows["campaign_tag"] == [{"campaign_id": "c", "tag_id": "t"}]
    assert [row["is_local"] for row in rows["campaign_message_send_time"]] == [False]
