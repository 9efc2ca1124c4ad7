"""The campaign tables of revision 2026-07-15: `GET /campaigns?include=campaign-messages,tags`, of one channel each.

For API keys that a later revision refuses. What only that one shows is left out of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.campaigns import CONTENT, RENDER_OPTIONS, STATUS_IDS, tag_rows
from klaviyo_assets.tables.jsonapi import (
    Row,
    Rows,
    attributes,
    described,
    identifier,
    inside,
    latest,
    linked,
    listed,
    objects,
    related_id,
    related_ids,
    resources,
)


def rows(document: Mapping[str, Any], template_ids: Mapping[str, str | None] | None = None) -> Rows:
    """Return the rows of the six tables that it fills, on a page of campaigns with included messages and tags.

    template_ids: message id -> template id, for messages whose `template` relationship the page leaves out.
    """
    campaigns = resources(document)
    messages = linked(document, "campaign-messages", "campaign-message")
    owners = {message: campaign["id"] for campaign in campaigns for message in _message_ids(campaign, messages)}
    message_rows = {
        message_id: _message_row(message, owners.get(message_id), template_ids or {})
        for message_id, message in messages.items()
    }
    return {
        "campaign": latest(
            (
                _campaign_row(campaign, ids, message_rows)
                for campaign in described(document)
                # A row repeats its first message.
                if not (ids := _message_ids(campaign, messages)) or ids[0] in messages
            ),
            "id",
        ),
        "campaign_list": latest(
            (row for campaign in campaigns for row in _audience_rows(campaign)), "campaign_id", "list_id"
        ),
        "campaign_message": latest(message_rows.values(), "id"),
        "campaign_message_send_time": latest(
            (row for message in messages.values() for row in _send_time_rows(message)),
            "datetime",
            "campaign_message_id",
        ),
        "campaign_tracking_utm_param": latest(
            (row for campaign in campaigns for row in _utm_rows(campaign)), "name", "campaign_id"
        ),
        "campaign_tag": tag_rows(campaigns),
    }


def _message_ids(campaign: Row, messages: Mapping[str, Row]) -> list[str]:
    """The campaign's own order; a page without that relationship still has the messages' own."""
    ids = related_ids(campaign, "campaign-messages")
    return ids or [key for key, message in messages.items() if related_id(message, "campaign") == campaign["id"]]


def _campaign_row(campaign: Row, message_ids: list[str], message_rows: Mapping[str, Row]) -> Row:
    a = attributes(campaign)
    strategy = inside(campaign, "send_strategy")
    method = strategy.get("method")
    options = inside(campaign, "send_strategy.options")
    tracking = inside(campaign, "tracking_options")
    send_options = inside(campaign, "send_options")
    status = a.get("status")
    message = message_rows[message_ids[0]] if message_ids else {}
    static = options if method == "static" else {}
    return {
        "id": campaign.get("id"),
        "archived": a.get("archived"),
        "created": a.get("created_at"),
        "name": a.get("name"),
        "scheduled": a.get("scheduled_at"),
        "send_option_ignore_unsubscribes": send_options.get("ignore_unsubscribes"),
        "send_option_use_smart_sending": send_options.get("use_smart_sending"),
        "send_strategy_datetime": strategy.get("datetime"),
        "send_strategy_method": method,
        "send_strategy_options_is_local": options.get("is_local"),
        "send_strategy_options_send_past_recipients_immediately": options.get("send_past_recipients_immediately"),
        "send_strategy_options_static_datetime": strategy.get("datetime") if method == "static" else None,
        "send_strategy_options_static_is_local": static.get("is_local"),
        "send_strategy_options_static_send_past_recipients_immediately": static.get("send_past_recipients_immediately"),
        "send_strategy_options_sto_date": strategy.get("date") if method == "smart_send_time" else None,
        "send_strategy_options_throttled_datetime": strategy.get("datetime") if method == "throttled" else None,
        "send_strategy_options_throttled_throttle_percentage": (
            strategy.get("throttle_percentage") if method == "throttled" else None
        ),
        "send_time": a.get("send_time"),
        "status": status,
        "tracking_options_add_tracking_params": tracking.get("add_tracking_params"),
        "tracking_options_is_add_utm": tracking.get("add_tracking_params"),
        "tracking_options_is_tracking_clicks": tracking.get("is_tracking_clicks"),
        "tracking_options_is_tracking_opens": tracking.get("is_tracking_opens"),
        "updated": a.get("updated_at"),
        "campaign_type": message.get("channel"),
        "email_template_id": message.get("template_id"),
        "from_email": message.get("content_from_email"),
        "from_name": message.get("content_from_label"),
        "sent_at": a.get("send_time") if status == "Sent" else None,
        "status_id": STATUS_IDS.get(status) if isinstance(status, str) else None,
        "status_label": status,
        "subject": message.get("content_subject"),
    }


def _message_row(message: Row, campaign_id: str | None, template_ids: Mapping[str, str | None]) -> Row:
    a = attributes(message)
    definition = inside(message, "definition")
    content = inside(message, "definition.content")
    render_options = inside(message, "definition.render_options")
    return {
        "id": message["id"],
        "campaign_id": related_id(message, "campaign") or campaign_id,
        "template_id": identifier(related_id(message, "template") or template_ids.get(message["id"])),
        "channel": definition.get("channel"),
        **{f"content_{name}": content.get(name) for name in CONTENT},
        "created": a.get("created_at"),
        "label": definition.get("label"),
        **{f"render_options_{name}": render_options.get(name) for name in RENDER_OPTIONS},
        "updated": a.get("updated_at"),
    }


def _audience_rows(campaign: Row) -> list[Row]:
    return [
        {"campaign_id": campaign["id"], "list_id": list_id, "list_included_or_excluded": side}
        for side in ("included", "excluded")  # the last row of a key stays
        for list_id in listed(campaign, f"audiences.{side}", str | int)
    ]


def _send_time_rows(message: Row) -> list[Row]:
    return [
        {"datetime": item.get("datetime"), "campaign_message_id": message["id"], "is_local": item.get("is_local")}
        for item in objects(message, "send_times")
    ]


def _utm_rows(campaign: Row) -> list[Row]:
    return [
        {
            "name": item.get("name"),
            "campaign_id": campaign["id"],
            "type": item.get("type"),
            "value": item.get("value"),
        }
        for item in objects(campaign, "tracking_options.custom_tracking_params")
    ]
