"""A Klaviyo account in memory: what it holds, and the stories that happen to it."""

from klaviyo_assets.sandbox.account.account import (
    GROUPS,
    Account,
    Attribution,
    Clock,
    Event,
    Events,
    Resource,
    event_uuid,
    format_datetime,
)

__all__ = ["GROUPS", "Account", "Attribution", "Clock", "Event", "Events", "Resource", "event_uuid", "format_datetime"]
