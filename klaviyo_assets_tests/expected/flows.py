"""FLOW, its actions and their messages."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, dig, keyed, one, pick, resources, same_names

MESSAGE = "definition.data.message"
TESTED_MESSAGE = "definition.data.main_action.data.message"
"""Where an A/B test keeps the message that it varies."""
FLAGS = ("add_info_link", "add_opt_out_language", "add_org_prefix", "include_contact_card", "shorten_links")
FLOW_ACTION = {
    **same_names("created updated"),
    "status": "definition.data.status",
    **{f"render_options_{flag}": f"{MESSAGE}.{flag}" for flag in FLAGS},
    "send_options_is_transactional": f"{MESSAGE}.transactional",
    "send_options_use_smart_sending": f"{MESSAGE}.smart_sending_enabled",
    "tracking_options_add_utm": f"{MESSAGE}.add_tracking_params",
}


def flow(account: Account) -> Expected:
    return resources(account, "flow", same_names("archived created name status trigger_type updated"))


def flow_action(account: Account) -> Expected:
    rows = []
    for action in account.all("flow-action"):
        type = dig(action.attributes, "definition.type")
        tested = dig(action.attributes, MESSAGE) is None
        paths = {c: path.replace(MESSAGE, TESTED_MESSAGE) if tested else path for c, path in FLOW_ACTION.items()}
        rows.append(
            {
                **pick(action, paths),
                "flow_id": one(account, action, "flow"),
                "action_type": type and type.upper().replace("-", "_"),
                # The API has had no such flags since actions have definitions.
                "tracking_options_is_tracking_clicks": None,
                "tracking_options_is_tracking_opens": None,
            }
        )
    return keyed(rows, "id")


def flow_action_tracking_utm_param(account: Account) -> Expected:
    rows = [
        {"flow_action_id": action.id, "name": parameter["param"], "value": parameter["value"]}
        for action in account.all("flow-action")
        for message in (MESSAGE, TESTED_MESSAGE)
        for parameter in dig(action.attributes, f"{message}.custom_tracking_params") or []
    ]
    return keyed(rows, "name", "flow_action_id")


FLOW_MESSAGE = {
    **same_names("channel created updated"),
    "name": "definition.name",
    "template_id": "definition.template_id",
    "content_subject": "definition.subject_line",
    **{
        f"content_{name}": f"definition.{name}"
        for name in ("bcc_email", "cc_email", "from_email", "from_label", "preview_text", "reply_to_email")
    },
}


def flow_message(account: Account) -> Expected:
    rows = resources(account, "flow-message", FLOW_MESSAGE, flow_action_id="flow-action", template="template")
    for row in rows.values():
        related = row.pop("template")
        row["template_id"] = row["template_id"] or related
    return rows
