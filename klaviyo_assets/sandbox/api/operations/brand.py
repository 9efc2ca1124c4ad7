"""What revision 2026-10-15 has beside campaigns: the brand library, translations, senders of text messages."""

from __future__ import annotations

from typing import Any

from klaviyo_assets.sandbox.api.operation import M, Page, S, text
from klaviyo_assets.sandbox.api.operations.declare import ANY_ONE, FIELDS, operation, resource

LATER: dict[str, Any] = {"since": "2026-10-15"}
TRANSLATIONS = {
    "id": ANY_ONE,
    "resource_type": text("equals"),
    "channel": text("equals", choices=("email", "sms", "mobile_push", "whatsapp")),
    "related_resource_id": text("equals"),
}
FIELDS["text-messaging-sender-registration"] = (
    "created_at", "decided_at", "failures", "status", "submitted_at", "updated_at"
)  # fmt: skip

for _name, _fields, _includes in (
    ("button", "border is_primary name preview_page_hex spacing style text", ""),
    ("color", "colors name", ""),
    ("email-default", "body footer header", "brand-button brand-logo brand-social-group"),
    ("logo", "alt_text height link_url name width", "image"),
    ("social-group", "name social_links", ""),
):
    _id = f"get_brand_{_name.replace('-', '_')}"
    resource(
        f"{_id}s", _id, f"/brand-{_name}s", f"brand-{_name}", M, "brands:read", includes=_includes, fields=_fields,
        bare_links=True, **LATER,
    )  # fmt: skip
operation(
    "get_brand_voice", "/brand-voice/{id}", "brand-voice", M, "brands:read",
    fields="language_patterns tone_descriptors version", **LATER,
)  # fmt: skip
resource(
    "get_translations", "get_translation", "/translations", "translation", M, "translations:read",
    page=Page(20, 100), filters=TRANSLATIONS, sorts="id",
    includes="campaign-variation flow-message template template-universal-content",
    fields="channel created fallback_locale metadata source_locale target_locales updated values",
    single={"additional": {"translation": ("values",)}}, **LATER,
)  # fmt: skip
resource(
    "get_text_messaging_senders", "get_text_messaging_sender", "/text-messaging-senders", "text-messaging-sender", S,
    "sender-config:read", page=Page(10, 20), sorts="created_at", includes="text-messaging-sender-registration",
    fields="created_at forwarding_number sender_details sender_identifier sender_type status", **LATER,
)  # fmt: skip
