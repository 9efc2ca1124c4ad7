from __future__ import annotations

from typing import Any

from klaviyo_assets.schema.lost import noting
from klaviyo_assets.tables import flows
from klaviyo_assets_tests.reference import recorded


def test_recorded_flow():
    rows = flows.rows(recorded("get_flow.200"))
    assert rows["flow"] == [
        {
            "id": "T6EyQF",
            "archived": None,
            "created": None,
            "name": "sdk-smoke-09049919-flow",
            "status": "draft",
            "trigger_type": None,
            "updated": None,
        }
    ]
    nothing = {
        "render_options_add_info_link": None,
        "render_options_add_opt_out_language": None,
        "render_options_add_org_prefix": None,
        "render_options_include_contact_card": None,
        "render_options_shorten_links": None,
        "tracking_options_is_tracking_clicks": None,
        "tracking_options_is_tracking_opens": None,
    }
    assert rows["flow_action"] == [
        {
            "id": "116466132",
            "flow_id": "T6EyQF",
            "action_type": "SEND_EMAIL",
            "created": "2026-09-04T13:40:13+00:00",
            "send_options_is_transactional": False,
            "send_options_use_smart_sending": True,
            "status": "draft",
            "tracking_options_add_utm": False,
            "updated": "2026-09-04T13:40:13+00:00",
            **nothing,
        },
        {
            "id": "116466131",
            "flow_id": "T6EyQF",
            "action_type": "TIME_DELAY",
            "created": "2026-09-04T13:40:13+00:00",
            "send_options_is_transactional": None,
            "send_options_use_smart_sending": None,
            "status": None,
            "tracking_options_add_utm": None,
            "updated": "2026-09-04T13:40:13+00:00",
            **nothing,
        },
    ]
    assert rows["flow_action_tracking_utm_param"] == rows["flow_tag"] == []
    assert flows.actions_with_messages(recorded("get_flow.200")) == ["116466132"]


def test_recorded_page_of_flows():
    rows = flows.rows(recorded("get_flows.200"))
    assert [row["id"] for row in rows["flow"]] == ["T6EyQF", "T23ivh"]
    assert {row["id"]: row["flow_id"] for row in rows["flow_action"]} == {
        "116466132": "T6EyQF",
        "116466131": "T6EyQF",
        "116466133": "T23ivh",
    }


def test_recorded_messages_of_an_action():
    assert flows.messages(recorded("get_flow_action_messages.200")) == {
        "flow_message": [
            {
                "id": "StDwe4",
                "flow_action_id": "116466132",
                "template_id": "Ug5pJx",
                "channel": "Email",
                "content_bcc_email": None,
                "content_cc_email": None,
                "content_from_email": "customer@example.com",
                "content_from_label": "Example Org",
                "content_preview_text": "SDK smoke preview",
                "content_reply_to_email": "customer@example.com",
                "content_subject": "SDK smoke subject",
                "created": "2026-09-04T13:40:13+00:00",
                "name": "sdk-smoke-09049919-msg",
                "updated": "2026-09-04T13:40:13+00:00",
            }
        ]
    }


def action(id: str, definition: Any) -> dict[str, Any]:
    return {"type": "flow-action", "id": id, "attributes": {"definition": definition}}


def test_actions_of_every_kind():
    sms = {"add_info_link": True, "shorten_links": False, "transactional": True, "add_tracking_params": True}
    utm = [{"param": "utm_source", "value": "a"}, {"param": "utm_source", "value": "b"}, {"value": "nameless"}]
    actions = [
        action(
            "sms", {"type": "send-sms", "data": {"message": {**sms, "custom_tracking_params": utm}, "status": "live"}}
        ),
        action("test", {"type": "ab-test", "data": {"main_action": {"data": {"message": {"transactional": True}}}}}),
        action("split", {"type": "conditional-split", "data": {}}),
        action("new", {"type": "something-new"}),
        action("unknown", None),
    ]
    relationships = {
        "flow-actions": {"data": [{"id": item["id"]} for item in actions] + [{"id": "named"}]},
        "tags": {"data": [{"id": "t"}, {"id": "t"}]},
    }
    document = {"data": [{"id": "f", "attributes": {"name": "F"}, "relationships": relationships}], "included": actions}
    with noting() as lost:
        rows = flows.rows(document)
    assert str(lost) == "included (1 value; id named)"
    assert {row["id"]: row["action_type"] for row in rows["flow_action"]} == {
        "sms": "SEND_SMS",
        "test": "AB_TEST",
        "split": "CONDITIONAL_SPLIT",
        "new": "SOMETHING_NEW",
        "unknown": None,
    }
    assert {row["flow_id"] for row in rows["flow_action"]} == {"f"}
    first, test = rows["flow_action"][:2]
    assert first["render_options_add_info_link"] is first["tracking_options_add_utm"] is True
    assert first["render_options_shorten_links"] is False
    assert test["send_options_is_transactional"] is True
    assert rows["flow_action_tracking_utm_param"] == [{"name": "utm_source", "flow_action_id": "sms", "value": "b"}]
    assert rows["flow_tag"] == [{"flow_id": "f", "tag_id": "t"}]
    assert flows.actions_with_messages(document) == ["sms", "test", "unknown", "named"]


def test_a_message_that_names_nothing_belongs_to_the_action_that_was_asked():
    (row,) = flows.messages({"data": [{"id": "m", "attributes": {"definition": {"template_id": ""}}}]}, "a")[
        "flow_message"
    ]
    assert (row["flow_action_id"], row["template_id"]) == ("a", None)
