"""The flow tables: FLOW, its actions and tags from `GET /flows?include=flow-actions,tags`, and FLOW_MESSAGE.

FLOW_MESSAGE comes from `GET /flow-actions/{id}/flow-messages`, one request per action; `actions_with_messages`
says which actions are worth it.
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
    named,
    objects,
    related_id,
    related_ids,
    resources,
    row_of,
)
from klaviyo_assets.tables.table import DAILY, Family, Table, boolean, references, text, timestamp

FLOW = Table(
    name="flow",
    family=Family("flows", ("flows:read", "tags:read")),
    description="Flows: messages that a trigger sets off, archived ones included.",
    columns=(
        text("id", "The flow's id."),
        boolean("archived", "Whether the flow was archived."),
        timestamp("created", "When the flow was created."),
        text("name", "Name of the flow."),
        text("status", "draft, manual or live."),
        text("trigger_type", "What starts it: Metric, Added to List, Date Based and others."),
        timestamp("updated", "When the flow last changed; a change of its actions does not count."),
    ),
    primary_key=("id",),
)

FLOW_ACTION = Table(
    name="flow_action",
    family=FLOW.family,
    description="The steps of flows: messages, delays, splits and so on.",
    columns=(
        text("id", "The action's id."),
        text("flow_id", "The flow it belongs to."),
        text("action_type", "What the step does: SEND_EMAIL, SEND_SMS, TIME_DELAY, CONDITIONAL_SPLIT and others."),
        timestamp("created", "When the action was created."),
        boolean("render_options_add_info_link", "Whether its SMS ends with a link to the sender's information."),
        boolean("render_options_add_opt_out_language", "Whether its SMS says how to unsubscribe."),
        boolean("render_options_add_org_prefix", "Whether its SMS starts with the name of the organization."),
        boolean("render_options_include_contact_card", "Whether its SMS carries a contact card."),
        boolean("render_options_shorten_links", "Whether links in its SMS are shortened."),
        boolean("send_options_is_transactional", "Whether its message is sent without marketing consent."),
        boolean("send_options_use_smart_sending", "Whether it skips people who got a message recently."),
        text("status", "draft, manual, live or disabled."),
        boolean("tracking_options_add_utm", "Whether links get UTM parameters."),
        boolean("tracking_options_is_tracking_clicks", "Whether clicks are tracked; no longer in the API."),
        boolean("tracking_options_is_tracking_opens", "Whether opens are tracked; no longer in the API."),
        timestamp("updated", "When the action last changed."),
    ),
    primary_key=("id",),
    foreign_keys=references(flow_id="flow"),
)

FLOW_ACTION_TRACKING_UTM_PARAM = Table(
    name="flow_action_tracking_utm_param",
    family=FLOW.family,
    description="The UTM parameters that a flow's message adds to its links.",
    columns=(
        text("name", "The parameter, utm_source for example."),
        text("flow_action_id", "The action that sends the message."),
        text("value", "The value, or what Klaviyo fills it with."),
    ),
    primary_key=("name", "flow_action_id"),
    foreign_keys=references(flow_action_id="flow_action"),
)

FLOW_TAG = Table(
    name="flow_tag",
    family=FLOW.family,
    description="Which flow carries which tag.",
    columns=(text("flow_id", "The flow."), text("tag_id", "The tag.")),
    primary_key=("flow_id", "tag_id"),
    foreign_keys=references(flow_id="flow", tag_id="tags"),
)

FLOW_MESSAGE = Table(
    name="flow_message",
    family=Family("flow_messages", ("flows:read",)),
    cadence=DAILY,
    description="The messages that flows send.",
    columns=(
        text("id", "The message's id."),
        text("flow_action_id", "The action that sends it."),
        text("template_id", "Its template; a copy that template listings do not show."),
        text("channel", "Email, SMS and others."),
        text("content_bcc_email", "Blind copies go to this address."),
        text("content_cc_email", "Copies go to this address."),
        text("content_from_email", "Sender address."),
        text("content_from_label", "Sender name."),
        text("content_preview_text", "What inboxes show next to the subject."),
        text("content_reply_to_email", "Answers go to this address."),
        text("content_subject", "Subject of an email."),
        timestamp("created", "When the message was created."),
        text("name", "Name of the message."),
        timestamp("updated", "When the message last changed."),
    ),
    primary_key=("id",),
    foreign_keys=references(flow_action_id="flow_action", template_id="email_template", nominal=["template_id"]),
)

TABLES = (FLOW, FLOW_ACTION, FLOW_ACTION_TRACKING_UTM_PARAM, FLOW_TAG, FLOW_MESSAGE)

_CONTENT = {
    "content_bcc_email": "definition.bcc_email",
    "content_cc_email": "definition.cc_email",
    "content_from_email": "definition.from_email",
    "content_from_label": "definition.from_label",
    "content_preview_text": "definition.preview_text",
    "content_reply_to_email": "definition.reply_to_email",
    "content_subject": "definition.subject_line",
    "name": "definition.name",
}


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of FLOW, FLOW_ACTION, its UTM parameters and FLOW_TAG on a page of flows."""
    flows = resources(document)
    actions = linked(document, "flow-actions", "flow-action")
    owners = {action: flow["id"] for flow in flows for action in related_ids(flow, "flow-actions")}
    tags = ({"flow_id": flow["id"], "tag_id": tag} for flow in flows for tag in related_ids(flow, "tags"))
    return {
        "flow": latest((row_of(flow, FLOW.types) for flow in described(document)), "id"),
        "flow_action": latest((_action_row(action, owners.get(key)) for key, action in actions.items()), "id"),
        "flow_action_tracking_utm_param": latest(
            (row for action in actions.values() for row in _utm_rows(action)), "name", "flow_action_id"
        ),
        "flow_tag": latest(tags, "flow_id", "tag_id"),
    }


def actions_with_messages(document: Mapping[str, Any]) -> list[str]:
    """Return the ids of the actions on a page of flows that may have messages.

    An action whose definition the API does not give counts as one that may.
    """
    actions = linked(document, "flow-actions", "flow-action")
    return [
        key
        for key in dict.fromkeys([*named(document, "flow-actions"), *actions])
        if key not in actions or not inside(actions[key], "definition") or _message(actions[key])
    ]


def messages(document: Mapping[str, Any], flow_action_id: str | None = None) -> Rows:
    """Return the rows of FLOW_MESSAGE on a page of one action's messages.

    flow_action_id: the action that was asked, for pages that do not name it.
    """
    found = (_message_row(message, flow_action_id) for message in described(document))
    return {"flow_message": latest(found, "id")}


def _message_row(message: Row, flow_action_id: str | None) -> Row:
    template_id = related_id(message, "template") or inside(message, "definition").get("template_id")
    return row_of(message, FLOW_MESSAGE.types, _CONTENT) | {
        "flow_action_id": related_id(message, "flow-action") or flow_action_id,
        "template_id": identifier(template_id),
    }


def _action_row(action: Row, flow_id: str | None) -> Row:
    a = attributes(action)
    definition = inside(action, "definition")
    message = _message(action)
    kind = definition.get("type")
    return {
        "id": action["id"],
        "flow_id": related_id(action, "flow") or flow_id,
        "action_type": kind.upper().replace("-", "_") if isinstance(kind, str) else None,
        "created": a.get("created"),
        "render_options_add_info_link": message.get("add_info_link"),
        "render_options_add_opt_out_language": message.get("add_opt_out_language"),
        "render_options_add_org_prefix": message.get("add_org_prefix"),
        "render_options_include_contact_card": message.get("include_contact_card"),
        "render_options_shorten_links": message.get("shorten_links"),
        "send_options_is_transactional": message.get("transactional"),
        "send_options_use_smart_sending": message.get("smart_sending_enabled"),
        "status": inside(action, "definition.data").get("status"),
        "tracking_options_add_utm": message.get("add_tracking_params"),
        "tracking_options_is_tracking_clicks": None,
        "tracking_options_is_tracking_opens": None,
        "updated": a.get("updated"),
    }


def _utm_rows(action: Row) -> list[Row]:
    return [
        {"name": item.get("param", item.get("name")), "flow_action_id": action["id"], "value": item.get("value")}
        for item in objects(action, f"{_message_path(action)}.custom_tracking_params")
    ]


def _message(action: Row) -> Row:
    """The message of an action; that of the main action for an A/B test."""
    return inside(action, _message_path(action))


def _message_path(action: Row) -> str:
    own = "definition.data.message"
    return own if inside(action, own) else "definition.data.main_action.data.message"
