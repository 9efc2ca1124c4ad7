"""The events of the simulated account, one by one: their ids, when they become visible, and which are nasty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from klaviyo_assets.sandbox.account import Event, event_uuid
from klaviyo_assets.sandbox.shop.nasty import long_text, nasty_properties, wide
from klaviyo_assets.sandbox.shop.shop import BASE62, Customer, Message, Shop

Late = Literal["normal", "hard"]
Credit = tuple[Event, Message]
"""The event that earns the credit for a conversion (a click, an open), and its message."""

MINUTE, HOUR, DAY = 60, 3600, 86_400
SETTLED = 2 * MINUTE
"""Seconds that the youngest event lies in the past."""
NASTY_EVERY = 100
WIDE_AT, LONG_AT = (450, 1450, 2450), (350, 1350, 2350, 3350, 4350)
PAIRS = [a + b for a in BASE62 for b in BASE62]


def event_id(number: int) -> str:
    """The id of the `number`-th event: 11 or 12 characters, in no order of time, each once below 62**8."""
    number = number * 0x9E37_79B9_7F4B % 62**8
    high, low = divmod(number, 62**4)
    prefix = "7qW" if number % 4 else "7rXa"
    return prefix + PAIRS[high // 3844] + PAIRS[high % 3844] + PAIRS[low // 3844] + PAIRS[low % 3844]


class EventWriter:
    """Adds up to `left` events to the account.

    `last_event` holds the second of the latest event of every profile. With `late="hard"`, one event in a hundred is
    seen five days late, one is dated 400 days back, and one in a thousand lies in the future.
    """

    def __init__(self, shop: Shop, metrics: Mapping[str, str | None], *, events: int, late: Late) -> None:
        self.shop = shop
        self.random = shop.random.random
        self.metrics = metrics
        self.left = events
        self.hard = late == "hard"
        self.now = int(shop.now.timestamp())
        self.number = 0
        self.last_event: dict[str, int] = {}

    def emit(
        self, metric: str, at: int, customer: Customer, properties: dict[str, Any], credit: Credit | None = None
    ) -> Event | None:
        """Add an event; returns None when it would lie in the present or future, or when none is left."""
        if at > self.now - SETTLED or not self.left:
            return None
        self.left -= 1
        self.number += 1
        if self.number % NASTY_EVERY == 50:
            properties = {**properties, **self._nasty()}
        if at > self.last_event.get(customer.id, 0):
            self.last_event[customer.id] = at
        visible_at = min(at + 5 + int(self.random() * 55), self.now)
        if self.hard:
            at, visible_at = self._delayed(at, visible_at)
        attribution, attributed_at = None, visible_at
        if credit is not None:
            touch, message = credit
            attribution = {"attributed-event": touch.id, **message.credit}
            delay = 5 * MINUTE + int(self.random() * (3 * HOUR - 5 * MINUTE))
            attributed_at = max(visible_at, min(visible_at + delay, self.now))
        return self.shop.account.add_event(
            self.metrics[metric],
            at,
            profile_id=customer.id,
            properties=properties,
            attribution=attribution,
            id=event_id(self.number),
            uuid=event_uuid(at, self.shop.random.getrandbits(48)),
            visible_at=visible_at,
            attributed_at=attributed_at,
        )

    def _nasty(self) -> dict[str, Any]:
        if self.number in LONG_AT:
            return long_text(self.number)
        return wide(self.number) if self.number in WIDE_AT else nasty_properties(self.number // NASTY_EVERY)

    def _delayed(self, at: int, visible_at: int) -> tuple[int, int]:
        chosen = self.random()
        if chosen < 0.01:
            return at, at + 5 * DAY
        if chosen < 0.02:
            return at - 400 * DAY, visible_at
        if chosen < 0.021:
            return self.now + DAY + int(self.random() * 29 * DAY), visible_at
        return at, visible_at
