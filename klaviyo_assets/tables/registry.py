"""Every table that a warehouse may have."""

from __future__ import annotations

from types import ModuleType

from klaviyo_assets.tables import (
    accounts,
    campaigns,
    catalogs,
    coupons,
    events,
    exclusions,
    extras,
    flows,
    forms,
    lists,
    metrics,
    profiles,
    reports,
    segments,
    tags,
    templates,
)
from klaviyo_assets.tables.table import Table

_MODULES = (
    events,
    profiles,
    metrics,
    campaigns,
    flows,
    lists,
    segments,
    exclusions,
    templates,
    tags,
    coupons,
    forms,
    accounts,
    catalogs,
    extras,
    reports,
)

TABLES: tuple[Table, ...] = tuple(table for module in _MODULES for table in module.TABLES)

FIRST_TABLES = frozenset(
    [
        "account_history",
        "campaign",
        "campaign_list",
        "campaign_message",
        "campaign_message_send_time",
        "campaign_tag",
        "campaign_tracking_utm_param",
        "coupon",
        "coupon_code",
        "email_template",
        "event",
        "flow",
        "flow_action",
        "flow_action_tracking_utm_param",
        "flow_message",
        "flow_tag",
        "form",
        "form_version",
        "global_exclusion",
        "integration",
        "list",
        "list_exclusion",
        "list_person",
        "list_tag",
        "metric",
        "person",
        "segment",
        "segment_person",
        "segment_tag",
        "tag_group",
        "tags",
    ]
)
"""Tables that are on where the user does not want new ones: those of the first version, and no table that is added."""

_BY_NAME = {table.name: table for table in TABLES}


def table(name: str) -> Table:
    """Return the table of that name (lower case). Raises KeyError if there is none."""
    return _BY_NAME[name]


def module_of(name: str) -> ModuleType:
    """Return the module with the columns and the mapping of the table of that name."""
    return next(module for module in _MODULES for table in module.TABLES if table.name == name)


def family(name: str) -> tuple[Table, ...]:
    """Return the tables that are read from the same pages, in the order of the registry."""
    return tuple(table for table in TABLES if table.family.name == name)
