"""Tables that Fivetran's schema does not have, each from the list of the same name: off until asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, attributes, described, latest, related_id, related_ids, row_of
from klaviyo_assets.tables.table import DAILY, Family, Table, bigint, boolean, double, json, references, text, timestamp

IMAGE = Table(
    name="image",
    family=Family("images", ("images:read",)),
    cadence=DAILY,
    optional=True,
    description="The images of the account's library, hidden ones included.",
    columns=(
        text("id", "The image's id."),
        text("format", "File format, png for example."),
        boolean("hidden", "Whether the library hides the image."),
        text("image_url", "Address of the image."),
        text("name", "Name of the image."),
        bigint("size", "Size in bytes."),
        timestamp("updated_at", "When the image last changed."),
    ),
    primary_key=("id",),
)

REVIEW = Table(
    name="review",
    family=Family("reviews", ("reviews:read",)),
    cadence=DAILY,
    optional=True,
    description="Reviews, ratings and questions about products and the store.",
    columns=(
        text("id", "The review's id."),
        text("item_id", "The catalog item it is about."),
        text("author", "Name of the author."),
        text("content", "The text of the review."),
        timestamp("created", "When the review was written."),
        text("email", "Email address of the author."),
        json("images", "Addresses of pictures that came with it."),
        text("product_external_id", "The product's id in the shop."),
        text("product_image_url", "Address of the product's picture."),
        text("product_name", "Name of the product."),
        text("product_url", "The product's page in the shop."),
        text("public_reply_author", "Who answered in public."),
        text("public_reply_content", "The public answer."),
        timestamp("public_reply_updated", "When the answer last changed."),
        bigint("rating", "Stars, 1 to 5; empty for a question."),
        text("review_type", "review, rating, question or store."),
        text("smart_quote", "A sentence that sums the review up."),
        text("status", "published, unpublished, pending, featured or rejected."),
        json("status_rejection_reason", "Why it was rejected."),
        text("title", "Title of the review."),
        timestamp("updated", "When the review last changed."),
        boolean("verified", "Whether the author is known to have bought the product."),
    ),
    primary_key=("id",),
    foreign_keys=references(item_id="catalog_item", nominal=["item_id"]),
)

WEB_FEED = Table(
    name="web_feed",
    family=Family("web_feeds", ("web-feeds:read",)),
    cadence=DAILY,
    optional=True,
    description="Web feeds that templates can show.",
    columns=(
        text("id", "The feed's id."),
        text("content_type", "json or xml."),
        timestamp("created", "When the feed was created."),
        text("name", "Name of the feed."),
        text("request_method", "get or post."),
        text("status", "State of Klaviyo's copy of the feed."),
        timestamp("updated", "When the feed last changed."),
        text("url", "Address of the feed."),
    ),
    primary_key=("id",),
)

PUSH_TOKEN = Table(
    name="push_token",
    family=Family("push_tokens", ("push-tokens:read",)),
    cadence=DAILY,
    optional=True,
    description="The devices that can get push messages.",
    columns=(
        text("id", "The token's id."),
        text("person_id", "The profile it belongs to."),
        text("background", "Whether the device takes updates in the background."),
        timestamp("created", "When the token was created."),
        text("enablement_status", "Whether the person allows push messages: AUTHORIZED, DENIED and others."),
        text("metadata_app_build", "Build of the app."),
        text("metadata_app_id", "Id of the app."),
        text("metadata_app_name", "Name of the app."),
        text("metadata_app_version", "Version of the app."),
        text("metadata_device_id", "Id of the device, as far as it has a stable one."),
        text("metadata_device_model", "Model of the device."),
        text("metadata_environment", "debug or release."),
        text("metadata_klaviyo_sdk", "The Klaviyo library that the app uses."),
        text("metadata_manufacturer", "Maker of the device."),
        text("metadata_os_name", "Operating system."),
        text("metadata_os_version", "Version of the operating system."),
        text("metadata_sdk_version", "Version of the Klaviyo library."),
        text("platform", "ios or android."),
        timestamp("recorded_date", "When the token was recorded."),
        text("token", "The token itself."),
        text("vendor", "Who delivers the messages: APNs or FCM."),
    ),
    primary_key=("id",),
    foreign_keys=references(person_id="person"),
)

WEBHOOK = Table(
    name="webhook",
    family=Family("webhooks", ("webhooks:read",)),
    cadence=DAILY,
    optional=True,
    description="The webhooks of the account.",
    columns=(
        text("id", "The webhook's id."),
        timestamp("created_at", "When the webhook was created."),
        text("description", "What it is for."),
        boolean("enabled", "Whether it is on."),
        text("endpoint_url", "Where it sends to, shortened by Klaviyo."),
        text("name", "Name of the webhook."),
        json("topics", "The ids of the topics that it sends."),
        timestamp("updated_at", "When the webhook last changed."),
    ),
    primary_key=("id",),
)

BILLING_USAGE = Table(
    name="billing_usage",
    family=Family("billing_usage", ("usage:read",)),
    cadence=DAILY,
    optional=True,
    description="How much of its plan the account has used in the current billing period, by type of usage.",
    columns=(
        text("id", "The type of usage, email_sends for example."),
        timestamp("as_of", "When the usage was counted."),
        timestamp("period_end", "End of the billing period, which no longer belongs to it."),
        timestamp("period_start", "Start of the billing period."),
        text("unit", "What is counted: messages, profiles, credits or a currency, for example."),
        bigint("usage_max", "How much the plan allows."),
        double("usage_used", "How much has been used in the period."),
    ),
    primary_key=("id",),
)

TRANSLATION = Table(
    name="translation",
    family=Family("translations", ("translations:read",)),
    cadence=DAILY,
    optional=True,
    description="Which messages, templates and blocks are translated, and into what.",
    columns=(
        text("id", "What is translated, as type::qualifier::collection."),
        text("channel", "email, sms, mobile_push, whatsapp or web."),
        timestamp("created", "When the translation was created."),
        text("fallback_locale", "The language of those who have none of the target languages."),
        json("metadata", "What else Klaviyo notes of it."),
        text("source_locale", "The language that is translated from."),
        json("target_locales", "The languages that are translated to."),
        timestamp("updated", "When the translation last changed."),
    ),
    primary_key=("id",),
)

BRAND_RESOURCE = Table(
    name="brand_resource",
    family=Family("brand_resources", ("brands:read",)),
    cadence=DAILY,
    optional=True,
    description="The account's brand library: logos, colors, buttons, social links, email defaults and voice.",
    columns=(
        text("id", "The resource's id; of email defaults and the voice, that of the account."),
        text("type", "logo, color, button, social-group, email-default or voice."),
        json("definition", "What it is made of."),
        text("name", "Name of the resource."),
    ),
    primary_key=("type", "id"),
)

TEXT_MESSAGING_SENDER = Table(
    name="text_messaging_sender",
    family=Family("text_messaging_senders", ("sender-config:read",)),
    cadence=DAILY,
    optional=True,
    description="The numbers and names that text messages come from.",
    columns=(
        text("id", "The sender's id."),
        timestamp("created_at", "When the sender was created."),
        text("forwarding_number", "Where calls to its number are forwarded to."),
        text("sender_details_country", "The country it is registered in."),
        text("sender_identifier", "The number or name that recipients see."),
        text("sender_type", "toll_free, short_code, long_code, alpha and others."),
        text("status", "active, registering, suspended and others."),
    ),
    primary_key=("id",),
)

TABLES = (
    IMAGE,
    REVIEW,
    WEB_FEED,
    PUSH_TOKEN,
    WEBHOOK,
    BILLING_USAGE,
    TRANSLATION,
    BRAND_RESOURCE,
    TEXT_MESSAGING_SENDER,
)

_REVIEW_PATHS = {"status": "status.value", "status_rejection_reason": "status.rejection_reason"} | {
    f"{parent}_{name}": f"{parent}.{name}"
    for parent, names in (
        ("product", ("external_id", "image_url", "name", "url")),
        ("public_reply", ("author", "content", "updated")),
    )
    for name in names
}
_TOKEN_PATHS = {
    name: name.replace("metadata_", "metadata.") for name in PUSH_TOKEN.types if name.startswith("metadata_")
}


def images(document: Mapping[str, Any]) -> Rows:
    """Return the rows of IMAGE on a page of images."""
    return {"image": latest((row_of(image, IMAGE.types) for image in described(document)), "id")}


def reviews(document: Mapping[str, Any]) -> Rows:
    """Return the rows of REVIEW on a page of reviews."""
    found = (
        row_of(review, REVIEW.types, _REVIEW_PATHS) | {"item_id": related_id(review, "item")}
        for review in described(document)
    )
    return {"review": latest(found, "id")}


def web_feeds(document: Mapping[str, Any]) -> Rows:
    """Return the rows of WEB_FEED on a page of web feeds."""
    return {"web_feed": latest((row_of(feed, WEB_FEED.types) for feed in described(document)), "id")}


def push_tokens(document: Mapping[str, Any]) -> Rows:
    """Return the rows of PUSH_TOKEN on a page of push tokens with `include=profile`."""
    found = (
        row_of(token, PUSH_TOKEN.types, _TOKEN_PATHS) | {"person_id": related_id(token, "profile")}
        for token in described(document)
    )
    return {"push_token": latest(found, "id")}


def webhooks(document: Mapping[str, Any]) -> Rows:
    """Return the rows of WEBHOOK on a page of webhooks with `include=webhook-topics`."""
    found = (
        row_of(webhook, WEBHOOK.types) | {"topics": related_ids(webhook, "webhook-topics")}
        for webhook in described(document)
    )
    return {"webhook": latest(found, "id")}


def billing_usage(document: Mapping[str, Any]) -> Rows:
    """Return the rows of BILLING_USAGE in an answer about billing usage."""
    return {"billing_usage": latest((row_of(usage, BILLING_USAGE.types) for usage in described(document)), "id")}


def translations(document: Mapping[str, Any]) -> Rows:
    """Return the rows of TRANSLATION on a page of translations."""
    return {"translation": latest((row_of(each, TRANSLATION.types) for each in described(document)), "id")}


def brand_resources(document: Mapping[str, Any], type: str) -> Rows:
    """Return the rows of BRAND_RESOURCE in an answer about one type of brand resources, `logo` for example."""
    found = (
        {
            "id": each["id"],
            "type": type,
            "definition": {name: value for name, value in attributes(each).items() if name != "name"},
            "name": attributes(each).get("name"),
        }
        for each in described(document)
    )
    return {"brand_resource": latest(found, "type", "id")}


def text_messaging_senders(document: Mapping[str, Any]) -> Rows:
    """Return the rows of TEXT_MESSAGING_SENDER on a page of senders."""
    paths = {"sender_details_country": "sender_details.country"}
    found = (row_of(each, TEXT_MESSAGING_SENDER.types, paths) for each in described(document))
    return {"text_messaging_sender": latest(found, "id")}
