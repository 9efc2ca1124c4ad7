"""CAMPAIGN and the tables that belong to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets_tests.expected.rows import Expected, dig, keyed, pick


def campaign_channel(account: Account, campaign: Resource) -> Any:
    messages = [
        account.get("campaign-message", id) for id in account.related("campaign", campaign.id, "campaign-messages")
    ]
    return next((dig(m.attributes, "definition.channel") for m in messages if m), None)


CAMPAIGN = {
    "name": "name",
    "status": "status",
    "status_label": "status",
    "archived": "archived",
    "created": "created_at",
    "updated": "updated_at",
    "scheduled": "scheduled_at",
    "send_time": "send_time",
    "send_option_ignore_unsubscribes": "send_options.ignore_unsubscribes",
    "send_option_use_smart_sending": "send_options.use_smart_sending",
    "send_strategy_datetime": "send_strategy.datetime",
    "send_strategy_method": "send_strategy.method",
    "send_strategy_options_is_local": "send_strategy.options.is_local",
    "send_strategy_options_send_past_recipients_immediately": (
        "send_strategy.options.send_past_recipients_immediately"
    ),
    "send_strategy_options_sto_date": "send_strategy.date",
    "tracking_options_add_tracking_params": "tracking_options.add_tracking_params",
    "tracking_options_is_add_utm": "tracking_options.add_tracking_params",
    "tracking_options_is_tracking_clicks": "tracking_options.is_tracking_clicks",
    "tracking_options_is_tracking_opens": "tracking_options.is_tracking_opens",
}


def strategy(campaign: Resource) -> dict[str, Any]:
    """Columns that only one way of sending fills, those of retired revisions of the API among them."""
    given = campaign.attributes.get("send_strategy") or {}
    static, throttled = ((given if given.get("method") == method else {}) for method in ("static", "throttled"))
    prefix, options = "send_strategy_options", dig(static, "options")
    return {
        f"{prefix}_static_datetime": static.get("datetime"),
        f"{prefix}_static_is_local": dig(options, "is_local"),
        f"{prefix}_static_send_past_recipients_immediately": dig(options, "send_past_recipients_immediately"),
        f"{prefix}_throttled_datetime": throttled.get("datetime"),
        f"{prefix}_throttled_throttle_percentage": throttled.get("throttle_percentage"),
    }


def campaign(account: Account) -> Expected:
    rows = []
    for c in account.all("campaign"):
        ids = account.related("campaign", c.id, "campaign-messages")
        first = account.get("campaign-message", ids[0]) if ids else None
        content = dig(first.attributes, "definition.content") if first else {}
        rows.append(
            {
                **pick(c, CAMPAIGN),
                **strategy(c),
                "campaign_type": campaign_channel(account, c),
                "status_id": {"Sent": "1", "Draft": "2"}.get(c.attributes["status"]),
                "sent_at": c.attributes["send_time"] if c.attributes["status"] == "Sent" else None,
                "subject": dig(content, "subject"),
                "from_email": dig(content, "from_email"),
                "from_name": dig(content, "from_label"),
                "email_template_id": next(iter(first.ids("template")), None) if first else None,
            }
        )
    return keyed(rows, "id")


def campaign_list(account: Account) -> Expected:
    rows = []
    for c in account.all("campaign"):
        for kind in ("included", "excluded"):
            for audience in dig(c.attributes, f"audiences.{kind}") or []:
                rows.append({"campaign_id": c.id, "list_id": audience, "list_included_or_excluded": kind})
    return keyed(rows, "campaign_id", "list_id")


def messages(account: Account) -> Iterator[tuple[Resource, str]]:
    for c in account.all("campaign"):
        for id in account.related("campaign", c.id, "campaign-messages"):
            message = account.get("campaign-message", id)
            assert message is not None
            yield message, c.id


def campaign_message(account: Account) -> Expected:
    content = ("bcc_email", "body", "cc_email", "from_email", "from_label", "media_url", "preview_text",
               "reply_to_email", "subject")  # fmt: skip
    options = ("add_info_link", "add_opt_out_language", "add_org_prefix", "shorten_links")
    paths = {
        "channel": "definition.channel",
        "label": "definition.label",
        "created": "created_at",
        "updated": "updated_at",
        **{f"content_{name}": f"definition.content.{name}" for name in content},
        **{f"render_options_{name}": f"definition.render_options.{name}" for name in options},
    }
    return keyed(
        (
            {**pick(m, paths), "campaign_id": campaign_id, "template_id": next(iter(m.ids("template")), None)}
            for m, campaign_id in messages(account)
        ),
        "id",
    )


def campaign_message_send_time(account: Account) -> Expected:
    rows = []
    for message, _ in messages(account):
        for time in message.attributes.get("send_times") or []:
            moment = dt.datetime.fromisoformat(time["datetime"]).astimezone(dt.UTC).replace(tzinfo=None)
            rows.append({"campaign_message_id": message.id, "datetime": moment, "is_local": time["is_local"]})
    return keyed(rows, "datetime", "campaign_message_id")


def campaign_tracking_utm_param(account: Account) -> Expected:
    rows = []
    for c in account.all("campaign"):
        for parameter in dig(c.attributes, "tracking_options.custom_tracking_params") or []:
            rows.append({"campaign_id": c.id, **{name: parameter.get(name) for name in ("name", "type", "value")}})
    return keyed(rows, "name", "campaign_id")
