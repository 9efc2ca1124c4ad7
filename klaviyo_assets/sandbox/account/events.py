"""Events of a sandbox account, in order of time, compact enough for millions."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

import msgspec

DAY = 86_400
Position = tuple[int, str]
"""(unix second, event id): the place of an event in the order that Klaviyo pages through."""

_position = attrgetter("occurred_at", "id")


def event_uuid(occurred_at: int, node: int) -> str:
    """The uuid that Klaviyo gives an event: version 1, its time is the event's second exactly, clock sequence 8001.

    `node` is any number below 2**48.
    """
    ticks = occurred_at * 10_000_000 + 0x01B2_1DD2_1381_4000
    low, middle, high = ticks & 0xFFFF_FFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0xFFF
    return f"{low:08x}-{middle:04x}-1{high:03x}-8001-{node:012x}"


class Event:
    """One event.

    `occurred_at` is in unix seconds; `visible_at` and `attributed_at` are unix seconds of the virtual clock: the API
    shows the event, and its attribution, from then on. `attribution` maps relationship names of Klaviyo's attribution
    resource (`campaign`, `campaign-message`, `flow`, `flow-message`, `flow-message-variation`, `attributed-event`) to
    ids. Properties are kept as JSON text and decoded on demand.
    """

    __slots__ = (
        "attributed_at",
        "attribution",
        "id",
        "metric_id",
        "occurred_at",
        "profile_id",
        "properties_json",
        "uuid",
        "visible_at",
    )

    def __init__(
        self,
        id: str,
        uuid: str,
        occurred_at: int,
        metric_id: str | None,
        profile_id: str | None = None,
        properties: dict[str, Any] | bytes = b"{}",
        attribution: dict[str, str] | None = None,
        visible_at: float = 0.0,
        attributed_at: float = 0.0,
    ) -> None:
        self.id = id
        self.uuid = uuid
        self.occurred_at = occurred_at
        self.metric_id = metric_id
        self.profile_id = profile_id
        self.properties_json = properties if isinstance(properties, bytes) else msgspec.json.encode(properties)
        self.attribution = attribution
        self.visible_at = visible_at
        self.attributed_at = attributed_at

    @property
    def properties(self) -> dict[str, Any]:
        """`event_properties`, decoded anew at every access."""
        properties: dict[str, Any] = msgspec.json.decode(self.properties_json)
        return properties

    def __repr__(self) -> str:
        return f"Event({self.id!r}, occurred_at={self.occurred_at}, metric_id={self.metric_id!r})"


class Events:
    """All events of an account, by id and by time.

    Events are kept in one list per UTC day, each sorted when it is read for the first time after a change: adding late
    events costs what their own day costs, however long the history is.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._by_id: dict[str, Event] = {}
        self._days: dict[int, list[Event]] = {}
        self._order: list[int] = []
        self._unsorted: set[int] = set()
        for event in events:
            self.add(event)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    def __getitem__(self, id: str) -> Event:
        return self._by_id[id]

    def __iter__(self) -> Iterator[Event]:
        """Every event, oldest first."""
        for day in self._order:
            yield from self._day(day)

    def get(self, id: str) -> Event | None:
        """The event with this id, or None."""
        return self._by_id.get(id)

    def add(self, event: Event) -> None:
        """Store an event; one with the same id is replaced."""
        if event.id in self._by_id:
            self.remove(event.id)
        self._by_id[event.id] = event
        number = event.occurred_at // DAY
        day = self._days.get(number)
        if day is None:
            self._days[number] = [event]
            insort(self._order, number)
        else:
            day.append(event)
            self._unsorted.add(number)

    def remove(self, id: str) -> Event:
        """Remove and return an event; `KeyError` when there is none with this id."""
        event = self._by_id.pop(id)
        day = self._day(event.occurred_at // DAY)
        del day[bisect_left(day, _position(event), key=_position)]
        return event

    def between(self, low: Position, high: Position, *, descending: bool = False) -> Iterator[Event]:
        """Events with `low <= (occurred_at, id) < high`, in that order or the reverse."""
        first, last = bisect_left(self._order, low[0] // DAY), bisect_left(self._order, high[0] // DAY + 1)
        numbers = self._order[first:last]
        for number in reversed(numbers) if descending else numbers:
            day = self._day(number)
            start = bisect_left(day, low, key=_position) if number == low[0] // DAY else 0
            stop = bisect_left(day, high, key=_position) if number == high[0] // DAY else len(day)
            yield from reversed(day[start:stop]) if descending else day[start:stop]

    def _day(self, number: int) -> list[Event]:
        day = self._days[number]
        if number in self._unsorted:
            day.sort(key=_position)
            self._unsorted.discard(number)
        return day
