"""How an account credits conversions to messages, and what its reports leave out: Klaviyo's settings for attribution.

Its API does not tell them. https://help.klaviyo.com/hc/en-us/articles/28413442705435
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from klaviyo_assets.sandbox.account.events import Event

WINDOWS: Mapping[str, timedelta] = {
    "Opened Email": timedelta(days=5),
    "Clicked Email": timedelta(days=5),
    "Clicked SMS": timedelta(days=5),
    "Clicked Text Message": timedelta(days=5),
    "Received SMS": timedelta(hours=12),
    "Received Text Message": timedelta(hours=12),
    "Opened Push": timedelta(days=1),
}
"""How long after an event of a metric a conversion is credited to its message, in an account of today."""


@dataclass(frozen=True)
class Attribution:
    """The settings of an account. windows: name of a metric -> how long its events earn credit; others never do."""

    windows: Mapping[str, timedelta] = field(default_factory=lambda: WINDOWS)
    excludes_machine_opens: bool = False
    excludes_bot_clicks: bool = False
    excludes_cancelled_orders: bool = False

    def leaves_out(self, properties: Mapping[str, Any]) -> bool:
        """Whether an event of a message counts neither as an open or click nor as a touch."""
        if self.excludes_machine_opens and properties.get("machine_open") is True:
            return True
        return self.excludes_bot_clicks and properties.get("Bot Click") is True

    def credits(self, events: Iterable[Event], names: Mapping[str, str], conversion: str) -> dict[str, Event]:
        """Id of a conversion -> the last event of a message before it in whose window it lies.

        names: metric id -> name. conversion: the id of the credited metric. At one second the touch comes first.
        """
        events = list(events)
        gone = self._cancelled(events, names)
        touches: dict[str, list[tuple[int, str, Event]]] = defaultdict(list)
        conversions = []
        for event in events:
            if event.metric_id == conversion:
                if not (gone and event.properties.get("$event_id") in gone):
                    conversions.append(event)
            elif names.get(event.metric_id or "") in self.windows and event.profile_id:
                properties = event.properties
                if properties.get("$message") and not self.leaves_out(properties):
                    insort(touches[event.profile_id], (event.occurred_at, event.id, event))
        found = {}
        for order in conversions:
            for at, _, touch in reversed(touches.get(order.profile_id or "", ())):
                window = self.windows[names[touch.metric_id or ""]]
                if at <= order.occurred_at <= at + window.total_seconds():
                    found[order.id] = touch
                    break
        return found

    def _cancelled(self, events: Iterable[Event], names: Mapping[str, str]) -> set[str]:
        """The ids of orders that do not count because they were cancelled."""
        if not self.excludes_cancelled_orders:
            return set()
        cancelled = (event for event in events if names.get(event.metric_id or "") == "Cancelled Order")
        return {str(event.properties.get("$event_id")) for event in cancelled}
