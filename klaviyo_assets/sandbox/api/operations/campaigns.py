"""Campaigns, flows, their tags and reports."""

from __future__ import annotations

from klaviyo_assets.sandbox.api.operation import MATCHES, REPORT, M, Page, S, date, flag, text
from klaviyo_assets.sandbox.api.operations.declare import CHANGED, STAMPED, operation, related, resource, tags

CAMPAIGNS = {
    "id": text("any[]"),
    "messages.channel": text("equals", choices=("email", "sms", "mobile_push")),
    "name": text("contains"),
    "status": text("any[]", "equals[]", "equals"),
    "archived": flag(),
    "scheduled_at": date(),
    **STAMPED,
}
FLOWS = {
    "id": text("any[]"),
    "name": text(*MATCHES),
    "status": text("equals"),
    "archived": flag(),
    **CHANGED,
    "trigger_type": text("equals"),
}
FLOW_ACTIONS = {
    "id": text("any[]"),
    "action_type": text("any[]", "equals[]", "equals"),
    "status": text("equals"),
    **CHANGED,
}
FLOW_MESSAGES = {"id": text("any[]"), "name": text(*MATCHES), **CHANGED}
TAGS = {"name": text(*MATCHES, "equals[]")}

resource(
    "get_campaigns", "get_campaign", "/campaigns", "campaign", M, "campaigns:read", page=Page(100, 100),
    filters=CAMPAIGNS, required="messages.channel", sorts="created_at id name scheduled_at updated_at",
    includes="campaign-messages tags",
    fields="archived audiences created_at name scheduled_at send_options send_strategy send_time status"
    " tracking_options updated_at",
)  # fmt: skip
tags("campaign")
related(
    "get_messages_for_campaign", "get_message_ids_for_campaign", "/campaigns/{id}/campaign-messages",
    "campaign-message", M, "campaigns:read", includes="campaign image template",
)  # fmt: skip
operation(
    "get_campaign_message", "/campaign-messages/{id}", "campaign-message", M, "campaigns:read",
    includes="campaign image template",
    fields="created_at definition send_times updated_at",
)  # fmt: skip
for _name, _scope in (("campaign", "campaigns:read"), ("template", "templates:read"), ("image", "images:read")):
    related(
        f"get_{_name}_for_campaign_message", f"get_{_name}_id_for_campaign_message",
        f"/campaign-messages/{{id}}/{_name}", _name, M,
        "campaigns:read" if _name == "campaign" else f"campaigns:read {_scope}",
    )  # fmt: skip
resource(
    "get_flows", "get_flow", "/flows", "flow", S, "flows:read", page=Page(50, 50), filters=FLOWS,
    sorts="created id name status trigger_type updated", includes="flow-actions tags",
    single={"additional": {"flow": ("definition",)}},
    fields="archived created definition name status trigger_type updated",
)  # fmt: skip
tags("flow")
related(
    "get_actions_for_flow", "get_action_ids_for_flow", "/flows/{id}/flow-actions", "flow-action", S, "flows:read",
    page=Page(50, 50), filters=FLOW_ACTIONS, sorts="action_type created id status updated",
)  # fmt: skip
operation(
    "get_flow_action", "/flow-actions/{id}", "flow-action", S, "flows:read", includes="flow flow-messages",
    fields="created definition updated",
)  # fmt: skip
related("get_flow_for_flow_action", "get_flow_id_for_flow_action", "/flow-actions/{id}/flow", "flow", S, "flows:read")
related(
    "get_flow_action_messages", "get_message_ids_for_flow_action", "/flow-actions/{id}/flow-messages", "flow-message",
    S, "flows:read", page=Page(50, 50), filters=FLOW_MESSAGES, sorts="created id name updated",
)  # fmt: skip
operation(
    "get_flow_message", "/flow-messages/{id}", "flow-message", S, "flows:read", includes="flow-action template",
    fields="channel created definition updated",
)  # fmt: skip
related(
    "get_action_for_flow_message", "get_action_id_for_flow_message", "/flow-messages/{id}/flow-action", "flow-action",
    S, "flows:read",
)  # fmt: skip
related(
    "get_template_for_flow_message", "get_template_id_for_flow_message", "/flow-messages/{id}/template", "template",
    S, "templates:read",
)  # fmt: skip

resource(
    "get_tags", "get_tag", "/tags", "tag", S, "tags:read", page=Page(50, 50), filters=TAGS, sorts="id name",
    includes="tag-group",
    fields="name",
)  # fmt: skip
related("get_tag_group_for_tag", "get_tag_group_id_for_tag", "/tags/{id}/tag-group", "tag-group", S, "tags:read")
resource(
    "get_tag_groups", "get_tag_group", "/tag-groups", "tag-group", S, "tags:read", page=Page(25, 25),
    filters={**TAGS, "exclusive": flag(), "default": flag()}, sorts="id name",
    fields="default exclusive name",
)  # fmt: skip
related("get_tags_for_tag_group", "get_tag_ids_for_tag_group", "/tag-groups/{id}/tags", "tag", S, "tags:read")

operation(
    "query_campaign_values", "/campaign-values-reports", "campaign-values-report", REPORT, "campaigns:read",
    method="POST",
    fields="results",
)  # fmt: skip
operation(
    "query_flow_values", "/flow-values-reports", "flow-values-report", REPORT, "flows:read", method="POST",
    fields="results",
)  # fmt: skip
operation(
    "query_flow_series", "/flow-series-reports", "flow-series-report", REPORT, "flows:read", method="POST",
    fields="date_times results",
)  # fmt: skip
