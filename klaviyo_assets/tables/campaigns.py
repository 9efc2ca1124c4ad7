"""The six campaign tables, from `GET /campaigns?include=campaign-messages,tags` (revision 2026-07-15).

CAMPAIGN keeps the columns of older API revisions as well, filled from what replaced them, because queries and
dbt_klaviyo still read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from klaviyo_assets.tables.table import DAILY, Family, Table, boolean, date, double, references, text, timestamp

CAMPAIGN = Table(
    name="campaign",
    family=Family("campaigns", ("campaigns:read", "tags:read", "templates:read")),
    cadence=DAILY,
    description="Email, SMS and mobile push campaigns, archived ones included.",
    columns=(
        text("id", "The campaign's id."),
        boolean("archived", "Whether the campaign was archived."),
        timestamp("created", "When the campaign was created."),
        text("name", "Name of the campaign."),
        timestamp("scheduled", "When someone scheduled the campaign."),
        boolean("send_option_ignore_unsubscribes", "Whether it goes to unsubscribed people too."),
        boolean("send_option_use_smart_sending", "Whether it skips people who got a message recently."),
        timestamp("send_strategy_datetime", "When it is to be sent (static and throttled)."),
        text("send_strategy_method", "How it is sent: static, throttled, immediate, smart_send_time and others."),
        boolean("send_strategy_options_is_local", "Whether the time is meant in the recipient's time zone."),
        boolean(
            "send_strategy_options_send_past_recipients_immediately",
            "Whether people whose local time has passed get it at once.",
        ),
        timestamp("send_strategy_options_static_datetime", "send_strategy_datetime of a static campaign."),
        boolean("send_strategy_options_static_is_local", "send_strategy_options_is_local of a static campaign."),
        boolean(
            "send_strategy_options_static_send_past_recipients_immediately",
            "send_strategy_options_send_past_recipients_immediately of a static campaign.",
        ),
        date("send_strategy_options_sto_date", "The day on which a smart send time campaign is sent."),
        timestamp("send_strategy_options_throttled_datetime", "When a throttled campaign starts."),
        double("send_strategy_options_throttled_throttle_percentage", "Share of recipients per hour, in percent."),
        timestamp("send_time", "When the campaign was or will be sent."),
        text("status", "Draft, Scheduled, Sent, Cancelled and others."),
        boolean("tracking_options_add_tracking_params", "Whether links get UTM parameters."),
        boolean("tracking_options_is_add_utm", "Older name of tracking_options_add_tracking_params."),
        boolean("tracking_options_is_tracking_clicks", "Whether clicks are tracked (email)."),
        boolean("tracking_options_is_tracking_opens", "Whether opens are tracked (email)."),
        timestamp("updated", "When the campaign last changed."),
        text("campaign_type", "The channel: email, sms or mobile_push."),
        text("email_template_id", "The template of the campaign's first message."),
        text("from_email", "Sender address of the first message."),
        text("from_name", "Sender name of the first message."),
        timestamp("sent_at", "send_time, once the campaign is sent."),
        text("status_id", "1 for Sent, 2 for Draft, as in the first version of the API."),
        text("status_label", "Older name of status."),
        text("subject", "Subject of the first message."),
    ),
    primary_key=("id",),
    foreign_keys=references(email_template_id="email_template", nominal=["email_template_id"]),
)

CAMPAIGN_LIST = Table(
    name="campaign_list",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The lists and segments that a campaign goes to, or leaves out.",
    columns=(
        text("campaign_id", "The campaign."),
        text("list_id", "The list; the id of a segment if the audience is one."),
        text("list_included_or_excluded", "included or excluded; excluded if the campaign names it as both."),
    ),
    primary_key=("campaign_id", "list_id"),
    foreign_keys=references(campaign_id="campaign", list_id="list", nominal=["list_id"]),
)

CAMPAIGN_MESSAGE = Table(
    name="campaign_message",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The messages of campaigns: one, or one per variation of a test.",
    columns=(
        text("id", "The message's id."),
        text("campaign_id", "The campaign it belongs to."),
        text("template_id", "The template it was made from; a copy that template listings do not show."),
        text("channel", "email, sms or mobile_push."),
        text("content_bcc_email", "Blind copies go to this address."),
        text("content_body", "Text of an SMS or push message."),
        text("content_cc_email", "Copies go to this address."),
        text("content_from_email", "Sender address."),
        text("content_from_label", "Sender name."),
        text("content_media_url", "Picture of an SMS message."),
        text("content_preview_text", "What inboxes show next to the subject."),
        text("content_reply_to_email", "Answers go to this address."),
        text("content_subject", "Subject of an email."),
        timestamp("created", "When the message was created."),
        text("label", "Name of the message."),
        boolean("render_options_add_info_link", "Whether an SMS ends with a link to the sender's information."),
        boolean("render_options_add_opt_out_language", "Whether an SMS says how to unsubscribe."),
        boolean("render_options_add_org_prefix", "Whether an SMS starts with the name of the organization."),
        boolean("render_options_include_contact_card", "Whether an SMS carries a contact card."),
        boolean("render_options_shorten_links", "Whether links in an SMS are shortened."),
        timestamp("updated", "When the message last changed."),
    ),
    primary_key=("id",),
    foreign_keys=references(campaign_id="campaign", template_id="email_template", nominal=["template_id"]),
)

CAMPAIGN_MESSAGE_SEND_TIME = Table(
    name="campaign_message_send_time",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The times at which a campaign message is sent.",
    columns=(
        timestamp("datetime", "When the message is sent."),
        text("campaign_message_id", "The message."),
        boolean("is_local", "Whether the time is meant in the recipient's time zone."),
    ),
    primary_key=("datetime", "campaign_message_id"),
    foreign_keys=references(campaign_message_id="campaign_message"),
)

CAMPAIGN_TRACKING_UTM_PARAM = Table(
    name="campaign_tracking_utm_param",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The UTM parameters that a campaign adds to its links.",
    columns=(
        text("name", "The parameter, utm_source for example."),
        text("campaign_id", "The campaign."),
        text("type", "static for a fixed value, dynamic for one that Klaviyo fills in."),
        text("value", "The value, or what a dynamic one is filled with."),
    ),
    primary_key=("name", "campaign_id"),
    foreign_keys=references(campaign_id="campaign"),
)

CAMPAIGN_TAG = Table(
    name="campaign_tag",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="Which campaign carries which tag.",
    columns=(text("campaign_id", "The campaign."), text("tag_id", "The tag.")),
    primary_key=("campaign_id", "tag_id"),
    foreign_keys=references(campaign_id="campaign", tag_id="tags"),
)

TABLES = (
    CAMPAIGN,
    CAMPAIGN_LIST,
    CAMPAIGN_MESSAGE,
    CAMPAIGN_MESSAGE_SEND_TIME,
    CAMPAIGN_TRACKING_UTM_PARAM,
    CAMPAIGN_TAG,
)

_STATUS_IDS = {"Sent": "1", "Draft": "2"}
_CONTENT = tuple(name.removeprefix("content_") for name in CAMPAIGN_MESSAGE.types if name.startswith("content_"))
_RENDER_OPTIONS = tuple(
    name.removeprefix("render_options_") for name in CAMPAIGN_MESSAGE.types if name.startswith("render_options_")
)


def rows(document: Mapping[str, Any], template_ids: Mapping[str, str | None] | None = None) -> Rows:
    """Return the rows of the six tables on a page of campaigns with included messages and tags.

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
        "campaign_tag": latest(
            (
                {"campaign_id": campaign["id"], "tag_id": tag}
                for campaign in campaigns
                for tag in related_ids(campaign, "tags")
            ),
            "campaign_id",
            "tag_id",
        ),
    }


def campaign_of_message(message_rows: list[Row]) -> dict[str, str]:
    """Return message id -> campaign id, by which the `$message` of an event finds its campaign."""
    return {row["id"]: row["campaign_id"] for row in message_rows if row["campaign_id"] is not None}


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
        "status_id": _STATUS_IDS.get(status) if isinstance(status, str) else None,
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
        **{f"content_{name}": content.get(name) for name in _CONTENT},
        "created": a.get("created_at"),
        "label": definition.get("label"),
        **{f"render_options_{name}": render_options.get(name) for name in _RENDER_OPTIONS},
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
