"""Templates, images, forms, web feeds, webhooks."""

from __future__ import annotations

from klaviyo_assets.sandbox.api.operation import (
    COMPARISONS,
    MATCHES,
    XS,
    Cursor,
    L,
    M,
    Page,
    S,
    date,
    flag,
    number,
    text,
)
from klaviyo_assets.sandbox.api.operations.declare import ANY_ONE, CHANGED, STAMPED, operation, related, resource

FORMS = {
    "id": ANY_ONE,
    "name": text("any[]", "equals[]", "contains", "equals"),
    "ab_test": flag(),
    **STAMPED,
    "status": text("equals", choices=("live", "draft")),
}
FORM_VERSIONS = {"form_type": ANY_ONE, "status": text("equals", choices=("live", "draft")), **STAMPED}
IMAGES = {
    "id": ANY_ONE,
    "updated_at": date(),
    "format": ANY_ONE,
    "name": text("any[]", "equals[]", *MATCHES),
    "size": number(*COMPARISONS),
    "hidden": flag("any[]", "equals[]", "equals"),
}
TEMPLATES = {
    "id": text("any[]", "equals[]"),
    "name": text("any[]", "equals[]", "contains", "equals"),
    **CHANGED,
}
UNIVERSAL_CONTENT = {
    "id": ANY_ONE,
    "name": ANY_ONE,
    "created": date(),
    "updated": date(),
    "definition.content_type": text("equals", choices=("block", "section")),
    "definition.type": text("equals"),
}
WEB_FEEDS = {"name": text("any[]", "equals[]", "contains", "equals"), "created": date(), "updated": date()}

resource(
    "get_templates", "get_template", "/templates", "template", L, "templates:read", page=Page(10, 10),
    filters=TEMPLATES, sorts="created id name updated", additional={"template": ("definition",)},
    fields="amp created definition editor_type html name text updated",
)  # fmt: skip
resource(
    "get_all_universal_content", "get_universal_content", "/template-universal-content", "template-universal-content",
    L, "templates:read", page=Page(20, 100), filters=UNIVERSAL_CONTENT, sorts="created id name updated",
    fields="created definition name screenshot_status screenshot_url updated",
)  # fmt: skip
resource(
    "get_images", "get_image", "/images", "image", M, "images:read", page=Page(20, 100), filters=IMAGES,
    sorts="format id name size updated_at",
    fields="format hidden image_url name size updated_at",
)  # fmt: skip
resource(
    "get_forms", "get_form", "/forms", "form", S, "forms:read", page=Page(20, 100), filters=FORMS,
    sorts="created_at updated_at", sort="-updated_at", cursor=Cursor(unique=False, others=("created_at", "updated_at")),
    single={"extra_fields": "definition"},
    fields="ab_test created_at definition name status updated_at",
)  # fmt: skip
related(
    "get_versions_for_form", "get_version_ids_for_form", "/forms/{id}/form-versions", "form-version", S, "forms:read",
    page=Page(20, 100), filters=FORM_VERSIONS, failing="any(form_type)", sorts="created_at updated_at",
    bare_links=True,
)  # fmt: skip
operation(
    "get_form_version", "/form-versions/{id}", "form-version", S, "forms:read", includes="form",
    fields="ab_test created_at form_type status updated_at variation_name",
)  # fmt: skip
related(
    "get_form_for_form_version", "get_form_id_for_form_version", "/form-versions/{id}/form", "form", S, "forms:read"
)
resource(
    "get_web_feeds", "get_web_feed", "/web-feeds", "web-feed", XS, "web-feeds:read", page=Page(5, 20),
    filters=WEB_FEEDS, sorts="created name updated", sort="created", cursor=Cursor(unique=False),
    fields="content_type created name request_method status updated url",
)  # fmt: skip
resource(
    "get_webhooks", "get_webhook", "/webhooks", "webhook", XS, "webhooks:read", includes="webhook-topics",
    bare_links=True,
    fields="created_at description enabled endpoint_url name updated_at",
)  # fmt: skip
resource(
    "get_webhook_topics", "get_webhook_topic", "/webhook-topics", "webhook-topic", XS, "webhooks:read",
    bare_links=True,
    fields="",
)  # fmt: skip
