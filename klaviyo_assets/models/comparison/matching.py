"""Which row of a model is which row of the other one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

FIRST = re.compile(r"(^|_)first_")
"""Columns of which the least of several rows counts; of other ones that are no numbers, the greatest."""


@dataclass(frozen=True)
class Matching:
    """How the rows of a model are matched.

    key: columns by which they are. source: the column that says whose row it is, which belongs to the key if there are
    several accounts. adds_up: rows that have the same key are added up: the packages have what was bought after a
    message apart from the message's variation.
    """

    key: tuple[str, ...]
    source: str = "source_relation"
    adds_up: bool = False


MATCHINGS: Mapping[str, Matching] = {
    "klaviyo__events": Matching(("event_id",)),
    "klaviyo__person_campaign_flow": Matching(
        ("person_id", "last_touch_campaign_id", "last_touch_flow_id"), adds_up=True
    ),
    "klaviyo__campaigns": Matching(("campaign_id",), adds_up=True),
    "klaviyo__flows": Matching(("flow_id",), adds_up=True),
    "klaviyo__persons": Matching(("person_id",)),
    "shopify_holistic_reporting__orders_attribution": Matching(("order_id",), "shopify_source_relation"),
    "shopify_holistic_reporting__customer_enhanced": Matching(("email",), "klaviyo_source_relation"),
    "shopify_holistic_reporting__daily_customer_metrics": Matching(
        ("date_day", "email", "campaign_id", "flow_id"), "klaviyo_source_relation", adds_up=True
    ),
}
"""Model -> how its rows are matched, in the order in which they are made."""
