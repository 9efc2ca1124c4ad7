"""The brand library of the simulated account, its translations, and the senders of its text messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from klaviyo_assets.sandbox.account import Resource, format_datetime
from klaviyo_assets.sandbox.shop.shop import URL, Shop

LINK = {"color": "197bbd", "font_size": 14, "font_style": "normal", "font_weight": 400, "font_family": "Arial",
        "letter_spacing": 0, "text_decoration": "underline"}  # fmt: skip
TEXT = LINK | {"color": "222427", "font_size": 16, "text_decoration": "none"}
_HEADINGS = dict.fromkeys(("h1_text", "h2_text", "h3_text", "h4_text"), TEXT)
_BODY = {"background_color": "ffffff", "body_background_color": "f7f7f7", "text": TEXT, **_HEADINGS, "link_text": LINK}
_HEADER = {"background_color": "ffffff", "links": [{"text": "Shop", "url": URL}], "link_text": LINK,
           "logo_max_width": 160}  # fmt: skip
_FOOTER = {"background_color": "ffffff", "text": TEXT, "link_text": LINK, "social_group_color": "black"}
_BUTTON = {
    "style": {"background_color": "2a5d34", "border_radius": 4, "box_shadow": "", "is_shadow_active": False},
    "border": {"border_color": "2a5d34", "border_style": "solid", "border_width": 1, "is_border_active": True},
    "spacing": {f"padding_{side}": 8 for side in ("top", "right", "bottom", "left")},
    "text": TEXT,
    "preview_page_hex": None,
}
_VOICE = {"name": "Warm", "description": "As over a cup of tea", "user_modified": False}


def brand_resources(company: str) -> list[Resource]:
    """One resource of each type at least; those of a whole account have its id."""
    logo: dict[str, Any] = {"width": 320, "height": 80, "alt_text": "Acme Tea", "link_url": URL, "name": "Leaf"}
    colors = {"name": "Tea", "colors": [{"hex": "2a5d34", "name": "Sencha"}, {"hex": "c26e2e", "name": "Rooibos"}]}
    social = {"name": "Everywhere", "social_links": [{"platform": "x_twitter", "link_url": "https://x.example/acme"}]}
    return [
        Resource("brand-logo", "1001", logo, {"image": None}),
        Resource("brand-color", "2001", colors),
        Resource("brand-button", "3001", {"name": "Buy", "is_primary": True, **_BUTTON}),
        Resource("brand-button", "3002", {"name": "Read", "is_primary": False, **_BUTTON}),
        Resource("brand-social-group", "4001", social),
        Resource(
            "brand-email-default",
            company,
            {"body": _BODY, "header": _HEADER, "footer": _FOOTER},
            {"brand-logo": "1001", "brand-button": "3001", "brand-social-group": "4001"},
        ),
        Resource("brand-voice", company, {"version": "1", "tone_descriptors": [_VOICE], "language_patterns": []}),
    ]


def translation(id: str, channel: str, created: str) -> Resource:
    """A translation from English."""
    attributes = {
        "source_locale": "en",
        "target_locales": ["da", "de"],
        "fallback_locale": "en" if channel == "email" else None,
        "channel": channel,
        "metadata": {"reviewed": channel == "email"},
        "created": created,
        "updated": created,
    }
    return Resource("translation", id, attributes)


def sender(id: str, type: str, number: str | None, created: str) -> Resource:
    """A sender of text messages; without a number, one that waits to be registered."""
    attributes = {
        "sender_type": type,
        "sender_details": {"country": "US"},
        "status": "active" if number else "pending_registration",
        "created_at": created,
        "forwarding_number": None,
        "sender_identifier": number,
    }
    return Resource("text-messaging-sender", id, attributes)


def add_brand(shop: Shop) -> None:
    """Add them all."""
    created = format_datetime(shop.start - timedelta(days=100))
    (account,) = shop.account.all("account")
    for resource in (
        *brand_resources(account.id),
        translation("TEMPLATE::DEFAULT::abc", "email", created),
        translation("CAMPAIGN::DEFAULT::def", "sms", created),
        sender("5001", "toll_free", "+18335550100", created),
        sender("5002", "short_code", None, format_datetime(shop.start - timedelta(days=99))),
    ):
        shop.account.add(resource)
