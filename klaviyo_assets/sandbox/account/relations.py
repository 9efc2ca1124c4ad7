"""How Klaviyo's resources refer to each other (the relationship names of its OpenAPI documents)."""

from __future__ import annotations

from typing import NamedTuple


class Relation(NamedTuple):
    """The target of a relationship, whether it holds many, and its name seen from the target.

    since: the first revision that shows it; until: the first that no longer does.
    """

    target: str
    many: bool
    inverse: str | None = None
    since: str = ""
    until: str = "9999-12-31"


_OMNICHANNEL = "2026-10-15"

RELATIONS: dict[str, dict[str, Relation]] = {
    "event": {
        "profile": Relation("profile", False),
        "metric": Relation("metric", False),
        "attributions": Relation("attribution", True),
    },
    "attribution": {
        "event": Relation("event", False),
        "attributed-event": Relation("event", False),
        "campaign": Relation("campaign", False),
        "campaign-message": Relation("campaign-message", False),
        "flow": Relation("flow", False),
        "flow-message": Relation("flow-message", False),
        "flow-message-variation": Relation("flow-message", False),
    },
    "profile": {
        "lists": Relation("list", True),
        "segments": Relation("segment", True),
        "push-tokens": Relation("push-token", True, "profile"),
        "conversations": Relation("conversation", True, "profile"),
    },
    "conversation": {"profile": Relation("profile", False, "conversations")},
    "push-token": {"profile": Relation("profile", False, "push-tokens")},
    "metric": {
        "flow-triggers": Relation("flow", True),
        "metric-properties": Relation("metric-property", True, "metric"),
    },
    "metric-property": {"metric": Relation("metric", False, "metric-properties")},
    "custom-metric": {"metrics": Relation("metric", True)},
    "mapped-metric": {"metric": Relation("metric", False), "custom-metric": Relation("custom-metric", False)},
    "list": {
        "profiles": Relation("profile", True),
        "tags": Relation("tag", True, "lists"),
        "flow-triggers": Relation("flow", True),
    },
    "segment": {
        "profiles": Relation("profile", True),
        "tags": Relation("tag", True, "segments"),
        "flow-triggers": Relation("flow", True),
    },
    "campaign": {
        "campaign-messages": Relation("campaign-message", True, "campaign"),
        "tags": Relation("tag", True, "campaigns"),
        "campaign-audiences": Relation("campaign-audience", True, "campaign", since=_OMNICHANNEL),
    },
    "campaign-audience": {
        "campaign": Relation("campaign", False, "campaign-audiences"),
        "campaign-messages": Relation("campaign-message", True, "campaign-audience"),
    },
    "campaign-message": {
        "campaign": Relation("campaign", False, "campaign-messages"),
        "template": Relation("template", False, until=_OMNICHANNEL),
        "image": Relation("image", False, until=_OMNICHANNEL),
        "campaign-audience": Relation("campaign-audience", False, "campaign-messages", since=_OMNICHANNEL),
        "campaign-variations": Relation("campaign-variation", True, "campaign-message", since=_OMNICHANNEL),
        "tags": Relation("tag", True),
    },
    "campaign-variation": {
        "campaign-message": Relation("campaign-message", False, "campaign-variations"),
        "image": Relation("image", False),
        "translation": Relation("translation", False),
        "template": Relation("template", False, until=_OMNICHANNEL),
    },
    "canvas-campaign": {
        "canvas-audiences": Relation("canvas-audience", True, "canvas-campaign"),
        "canvas-messages": Relation("canvas-message", True, "canvas-campaign"),
        "tags": Relation("tag", True),
    },
    "canvas-audience": {
        "canvas-campaign": Relation("canvas-campaign", False, "canvas-audiences"),
        "canvas-messages": Relation("canvas-message", True, "canvas-audience"),
    },
    "canvas-message": {
        "canvas-campaign": Relation("canvas-campaign", False, "canvas-messages"),
        "canvas-audience": Relation("canvas-audience", False, "canvas-messages"),
        "canvas-variations": Relation("canvas-variation", True, "canvas-message"),
        "tags": Relation("tag", True),
    },
    "canvas-variation": {
        "canvas-message": Relation("canvas-message", False, "canvas-variations"),
        "image": Relation("image", False),
        "translation": Relation("translation", False),
        "template": Relation("template", False),
    },
    "flow": {
        "flow-actions": Relation("flow-action", True, "flow"),
        "tags": Relation("tag", True, "flows"),
    },
    "flow-action": {
        "flow": Relation("flow", False, "flow-actions"),
        "flow-messages": Relation("flow-message", True, "flow-action"),
    },
    "flow-message": {
        "flow-action": Relation("flow-action", False, "flow-messages"),
        "template": Relation("template", False),
        "image": Relation("image", False),
    },
    "tag": {
        "tag-group": Relation("tag-group", False, "tags"),
        "lists": Relation("list", True, "tags"),
        "segments": Relation("segment", True, "tags"),
        "campaigns": Relation("campaign", True, "tags"),
        "flows": Relation("flow", True, "tags"),
    },
    "tag-group": {"tags": Relation("tag", True, "tag-group")},
    "form": {"form-versions": Relation("form-version", True, "form")},
    "form-version": {"form": Relation("form", False, "form-versions")},
    "coupon": {"coupon-codes": Relation("coupon-code", True, "coupon")},
    "coupon-code": {
        "coupon": Relation("coupon", False, "coupon-codes"),
        "profile": Relation("profile", False),
    },
    "catalog-item": {
        "variants": Relation("catalog-variant", True, "item"),
        "categories": Relation("catalog-category", True, "items"),
    },
    "catalog-variant": {"item": Relation("catalog-item", False, "variants")},
    "catalog-category": {"items": Relation("catalog-item", True, "categories")},
    "review": {"events": Relation("event", True), "item": Relation("catalog-item", False)},
    "brand-email-default": {
        "brand-button": Relation("brand-button", False),
        "brand-logo": Relation("brand-logo", False),
        "brand-social-group": Relation("brand-social-group", False),
    },
    "brand-logo": {"image": Relation("image", False)},
    "translation": {
        "campaign-variation": Relation("campaign-variation", False),
        "flow-message": Relation("flow-message", False),
        "template": Relation("template", False),
        "template-universal-content": Relation("template-universal-content", False),
    },
    "text-messaging-sender": {
        "text-messaging-sender-registration": Relation("text-messaging-sender-registration", False)
    },
    "webhook": {"webhook-topics": Relation("webhook-topic", True)},
}

PARTS: dict[str, tuple[str, ...]] = {
    "campaign": ("campaign-messages",),
    "campaign-message": ("template",),
    "canvas-campaign": ("canvas-audiences", "canvas-messages"),
    "canvas-audience": ("canvas-messages",),
    "canvas-message": ("canvas-variations",),
    "canvas-variation": ("template",),
    "flow": ("flow-actions",),
    "flow-action": ("flow-messages",),
    "form": ("form-versions",),
    "coupon": ("coupon-codes",),
    "catalog-item": ("variants",),
    "tag-group": ("tags",),
    "profile": ("push-tokens",),
}
"""Relationships whose targets cease to exist with their owner."""


def relation(type: str, name: str) -> Relation | None:
    """The relation that a type has under this name, or None."""
    return RELATIONS.get(type, {}).get(name)
