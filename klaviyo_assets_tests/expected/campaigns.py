"""CAMPAIGN and the tables that belong to it, as revision 2026-10-15 of the API shows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.account.omnichannel import omnichannel
from klaviyo_assets.sandbox.account.store import Store
from klaviyo_assets_tests.expected.rows import Expected, dig, keyed, one, pick

CAMPAIGN = {
    "name": "definition.name",
    "archived": "definition.archived",
    "builder": "definition.builder",
    "description": "definition.description",
    "created": "created_at",
    "updated": "updated_at",
}
METHODS = {
    "static": ("static", False),
    "local_timezone": ("static", True),
    "throttled": ("throttled", None),
    "variation_per_second_throttled": ("throttled", None),
    "send_time_optimization": ("smart_send_time", None),
    "personalized_send_time_optimization": ("smart_send_time", None),
    "content_variation": ("ab_test_campaign", None),
    "content_variation_local_timezone": ("ab_test_campaign", True),
    "ab_send_time_test": ("ab_test_campaign", None),
}
"""Send strategy -> what earlier revisions call it, and whether times are meant as local ones."""

STATUSES = ("sending", "scheduled", "sent", "draft", "cancelled")
UNDER_WAY = ("sending", "scheduled", "sent")
CHANNELS = {"push": "mobile_push"}
CONTENT = ("bcc_email", "body", "cc_email", "from_email", "from_label", "preview_text", "reply_to_email", "subject")
OPTIONS = ("add_info_link", "add_opt_out_language", "add_org_prefix", "include_contact_card", "shorten_links")
DETAILS = (
    *CONTENT,
    *OPTIONS,
    *("action_buttons", "android_deep_link", "cost", "ios_deep_link", "kv_pairs", "mms_dynamic_image_template"),
    *("mms_static_image_asset_id", "push_type", "template_id", "text_message_type", "title", "web_url"),
)


def children(store: Store, parent: Resource, name: str) -> list[Resource]:
    ids = store.related(parent.type, parent.id, name)
    type = name.removesuffix("s")
    return [child for id in ids if (child := store.get(type, id))]


def said(value: Any) -> Any:
    """What a text says: nothing if it is empty."""
    return None if value == "" else value


def campaign(account: Account) -> Expected:
    store = omnichannel(account)
    rows = []
    for c in store.all("campaign"):
        messages = children(store, c, "campaign-messages")
        first = messages[0] if messages else Resource("campaign-message", "")
        options = dig(first.attributes, "definition.send_options") or {}
        of_first = children(store, first, "campaign-variations") if messages else []
        details = dig(of_first[0].attributes, "definition.details") if of_first else {}
        statuses = [m.attributes["definition"]["status"] for m in messages]
        status = next((s for s in STATUSES if s in statuses), None) or next(iter(statuses), None)
        if {"sent", "scheduled"} <= set(statuses):
            status = "sending"
        times = [
            (dig(m.attributes, "definition.send_options.send_time"), s) for m, s in zip(messages, statuses, strict=True)
        ]
        planned = min((time for time, _ in times if time), default=None)
        sent = min((time for time, s in times if time and s in UNDER_WAY), default=None)
        method, local = METHODS.get(options.get("send_strategy"), (options.get("send_strategy"), None))
        past = dig(c.attributes, "definition.send_settings.send_passed_rltz_immediately") if local else None
        tracked = [t for m in messages if (t := dig(m.attributes, "definition.tracking_options"))]
        tracking = tracked[0] if tracked else {}
        throttling = options.get("throttling_type")
        prefix = "send_strategy_options"
        rows.append(
            {
                **pick(c, CAMPAIGN),
                "status": status and status[0].upper() + status[1:],
                "status_label": status and status[0].upper() + status[1:],
                "status_id": {"sent": "1", "draft": "2"}.get(str(status)),
                "scheduled": None,
                "send_time": sent,
                "sent_at": sent if status == "sent" else None,
                "send_option_ignore_unsubscribes": options.get("is_ignoring_unsubscribes"),
                "send_option_use_smart_sending": throttling and throttling != "none",
                "send_strategy_method": method,
                "send_strategy_datetime": planned if method in ("static", "throttled") else None,
                f"{prefix}_is_local": local,
                f"{prefix}_send_past_recipients_immediately": past,
                f"{prefix}_static_datetime": planned if method == "static" else None,
                f"{prefix}_static_is_local": local if method == "static" else None,
                f"{prefix}_static_send_past_recipients_immediately": past if method == "static" else None,
                f"{prefix}_sto_date": planned[:10] if planned and method == "smart_send_time" else None,
                f"{prefix}_throttled_datetime": planned if method == "throttled" else None,
                f"{prefix}_throttled_throttle_percentage": None,
                "tracking_options_add_tracking_params": tracking.get("is_add_utm"),
                "tracking_options_is_add_utm": tracking.get("is_add_utm"),
                "tracking_options_is_tracking_clicks": tracking.get("is_tracking_clicks"),
                "tracking_options_is_tracking_opens": tracking.get("is_tracking_opens"),
                "campaign_type": CHANNELS.get(details.get("channel"), details.get("channel")),
                "subject": said(details.get("subject")),
                "from_email": said(details.get("from_email")),
                "from_name": said(details.get("from_label")),
                "email_template_id": details.get("template_id") if details.get("channel") == "email" else None,
            }
        )
    return keyed(rows, "id")


def campaign_list(account: Account) -> Expected:
    store = omnichannel(account)
    rows: Expected = {}
    for c in store.all("campaign"):
        for audience in children(store, c, "campaign-audiences"):
            included, excluded = (dig(audience.attributes, f"definition.{s}") or [] for s in ("included", "excluded"))
            for group in (*included, *excluded):
                goes = group in included and group not in excluded
                side = "included" if goes else "excluded"
                if side == "included" or (c.id, group) not in rows:
                    row = {"campaign_id": c.id, "list_id": group, "list_included_or_excluded": side}
                    rows[c.id, group] = row
    return rows


def campaign_audience(account: Account) -> Expected:
    store = omnichannel(account)
    paths = {name: f"definition.{name}" for name in ("name", "priority", "included", "excluded")}
    paths |= {"created": "created", "updated": "updated"}
    rows = [
        {**pick(audience, paths), "campaign_id": one(store, audience, "campaign")}
        for audience in store.all("campaign-audience")
    ]
    return keyed(rows, "id")


def messages(account: Account) -> Iterator[tuple[Store, Resource]]:
    store = omnichannel(account)
    for message in store.all("campaign-message"):
        yield store, message


def campaign_message(account: Account) -> Expected:
    paths = {
        "label": "definition.name",
        "created": "created",
        "updated": "updated",
        "status": "definition.status",
        **{
            name: f"definition.send_options.{name}"
            for name in ("send_strategy", "recipient_percentage", "throttle_unit", "throttling_type")
        },
        **{
            f"ab_test_{name}": f"definition.ab_test.{name}"
            for name in ("winner_metric", "winner_percentage", "winner_wait_hours")
        },
    }
    rows = []
    for store, message in messages(account):
        variations = children(store, message, "campaign-variations")
        details = dig(variations[0].attributes, "definition.details") if variations else {}
        rows.append(
            {
                **pick(message, paths),
                "campaign_id": one(store, message, "campaign"),
                "campaign_audience_id": one(store, message, "campaign-audience"),
                "channel": CHANNELS.get(details.get("channel"), details.get("channel")),
                "template_id": details.get("template_id"),
                "content_media_url": None,
                **{f"content_{name}": said(details.get(name)) for name in CONTENT},
                **{f"render_options_{name}": details.get(name) for name in OPTIONS},
            }
        )
    return keyed(rows, "id")


def campaign_variation(account: Account) -> Expected:
    rows = []
    for store, message in messages(account):
        times = dig(message.attributes, "definition.send_options.send_times") or {}
        for variation in children(store, message, "campaign-variations"):
            details = variation.attributes["definition"]["details"]
            paths = {"name": "definition.name", "created": "created", "updated": "updated"}
            rows.append(
                {
                    **pick(variation, paths),
                    "campaign_message_id": message.id,
                    "channel": CHANNELS.get(details.get("channel"), details.get("channel")),
                    "send_time": times.get(variation.id),
                    **{name: said(details.get(name)) for name in DETAILS},
                }
            )
    return keyed(rows, "id")


def campaign_message_send_time(account: Account) -> Expected:
    rows = []
    for _, message in messages(account):
        definition = message.attributes["definition"]
        options = definition["send_options"]
        if definition["status"] not in UNDER_WAY:
            continue
        for time in (options["send_time"], *(options["send_times"] or {}).values()):
            if time:
                moment = dt.datetime.fromisoformat(time).astimezone(dt.UTC).replace(tzinfo=None)
                local = options["send_strategy"] in ("local_timezone", "content_variation_local_timezone")
                rows.append({"campaign_message_id": message.id, "datetime": moment, "is_local": local})
    return keyed(rows, "datetime", "campaign_message_id")


def campaign_tracking_utm_param(account: Account) -> Expected:
    store = omnichannel(account)
    rows: Expected = {}
    for c in store.all("campaign"):
        for message in children(store, c, "campaign-messages"):
            for parameter in dig(message.attributes, "definition.tracking_options.tracking_params") or []:
                row = {"campaign_id": c.id, **{name: parameter.get(name) for name in ("name", "type", "value")}}
                rows.setdefault((row["name"], c.id), row)
    return rows
