"""Campaigns as revision 2026-10-15 has them: of several audiences, each with messages, and these with variations."""

from __future__ import annotations

from typing import Any

from klaviyo_assets.sandbox.api.operation import M, Page, S, date, flag, text
from klaviyo_assets.sandbox.api.operations.declare import ANY_ONE, STAMPED, operation, related, resource, tags

LATER: dict[str, Any] = {"since": "2026-10-15", "omnichannel": True}
READ = "campaigns:read"
CAMPAIGNS = {
    "id": text("any[]"),
    "name": text("contains"),
    "archived": flag(),
    "builder": text("equals"),
    **STAMPED,
}
MESSAGES = {
    "id": ANY_ONE,
    "campaign_id": text("equals"),
    "name": text("contains"),
    "status": text("equals"),
    "created": date(),
    "updated": date(),
}
DEFINED = "created definition updated"

resource(
    "get_campaigns", "get_campaign", "/campaigns", "campaign", M, READ, page=Page(100, 100), filters=CAMPAIGNS,
    sorts="created_at id name updated_at", includes="campaign-audiences campaign-messages tags",
    fields="created_at definition updated_at", **LATER,
)  # fmt: skip
tags("campaign", **LATER)
related(
    "get_campaign_audiences_for_campaign", "get_audience_ids_for_campaign", "/campaigns/{id}/campaign-audiences",
    "campaign-audience", M, READ, **LATER,
)  # fmt: skip
related(
    "get_messages_for_campaign", "get_message_ids_for_campaign", "/campaigns/{id}/campaign-messages",
    "campaign-message", M, READ, page=Page(100, None), includes="campaign", **LATER,
)  # fmt: skip
operation(
    "get_campaign_audience", "/campaign-audiences/{id}", "campaign-audience", M, READ,
    includes="campaign campaign-messages", fields=DEFINED, **LATER,
)  # fmt: skip
related(
    "get_campaign_for_campaign_audience", "get_campaign_id_for_campaign_audience",
    "/campaign-audiences/{id}/campaign", "campaign", M, READ, **LATER,
)  # fmt: skip
related(
    "get_campaign_messages_for_campaign_audience", "get_message_ids_for_campaign_audience",
    "/campaign-audiences/{id}/campaign-messages", "campaign-message", M, READ, page=Page(100, None), **LATER,
)  # fmt: skip
resource(
    "get_campaign_messages", "get_campaign_message", "/campaign-messages", "campaign-message", M, READ,
    page=Page(20, 100), filters=MESSAGES, sorts="created id name status updated",
    includes="campaign campaign-variations", fields=DEFINED, **LATER,
)  # fmt: skip
related(
    "get_campaign_for_campaign_message", "get_campaign_id_for_campaign_message", "/campaign-messages/{id}/campaign",
    "campaign", M, READ, **LATER,
)  # fmt: skip
related(
    "get_audience_for_campaign_message", "get_audience_id_for_campaign_message",
    "/campaign-messages/{id}/campaign-audience", "campaign-audience", M, READ, **LATER,
)  # fmt: skip
related(
    "get_variations_for_campaign_message", "get_variation_ids_for_campaign_message",
    "/campaign-messages/{id}/campaign-variations", "campaign-variation", M, READ, **LATER,
)  # fmt: skip
related(
    "get_tags_for_campaign_message", "get_tag_ids_for_campaign_message", "/campaign-messages/{id}/tags", "tag", S,
    "campaigns:read tags:read", **LATER,
)  # fmt: skip
for _name in ("template", "image"):
    related(
        f"get_{_name}_for_campaign_message", f"get_{_name}_id_for_campaign_message",
        f"/campaign-messages/{{id}}/{_name}", _name, M, f"campaigns:read {_name}s:read", **LATER,
    )  # fmt: skip
operation(
    "get_campaign_variation", "/campaign-variations/{id}", "campaign-variation", M, READ,
    includes="campaign-message image translation", fields=DEFINED, **LATER,
)  # fmt: skip
related(
    "get_message_for_campaign_variation", "get_message_id_for_campaign_variation",
    "/campaign-variations/{id}/campaign-message", "campaign-message", M, READ, **LATER,
)  # fmt: skip
related(
    "get_image_for_campaign_variation", "get_image_id_for_campaign_variation", "/campaign-variations/{id}/image",
    "image", M, READ, **LATER,
)  # fmt: skip
