"""By its settings an account credits the last touch in whose window a conversion lies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from klaviyo_assets.sandbox import Event
from klaviyo_assets.sandbox.account import Attribution

NAMES = {"opn": "Opened Email", "clk": "Clicked Email", "rcv": "Received Email", "ord": "Placed Order",
         "off": "Cancelled Order"}  # fmt: skip
HOUR = 3600
WINDOWS = {"Opened Email": timedelta(hours=1), "Clicked Email": timedelta(hours=3)}


def event(id: str, metric: str, at: int, person: str = "p", **properties: Any) -> Event:
    about = {} if metric in ("ord", "off") else {"$message": "m"}
    return Event(id, id, at, metric, person, {**about, **properties})


TOUCHES = [
    event("click", "clk", 0),
    event("open", "opn", HOUR),
    event("machine", "opn", HOUR + 1, machine_open=True),
    event("bot", "clk", HOUR + 2, **{"Bot Click": True}),
    event("received", "rcv", HOUR + 3),
    event("other", "opn", HOUR + 4, person="q"),
    event("no message", "opn", HOUR + 5, **{"$message": None}),
]


@pytest.mark.parametrize(
    ("settings", "credited"),
    [
        (Attribution(WINDOWS), {"soon": "bot", "same": "click", "last": "bot"}),
        (Attribution(WINDOWS, excludes_bot_clicks=True), {"soon": "machine", "same": "click", "last": "click"}),
        (
            Attribution(WINDOWS, excludes_bot_clicks=True, excludes_machine_opens=True),
            {"soon": "open", "same": "click", "last": "click"},
        ),
        (Attribution(WINDOWS, excludes_cancelled_orders=True), {"same": "click", "last": "bot"}),
        (Attribution({}), {}),
    ],
)
def test_the_last_touch_in_its_window_earns_the_credit(settings: Attribution, credited: dict[str, str]) -> None:
    orders = [
        event("before", "ord", -1),
        event("same", "ord", 0),
        event("soon", "ord", HOUR + 60, **{"$event_id": "S1"}),
        event("cancelled", "off", HOUR + 90, **{"$event_id": "S1"}),
        event("last", "ord", 3 * HOUR),
        event("late", "ord", 5 * HOUR),
        event("nobody", "ord", HOUR + 60, person="r"),
    ]
    found = settings.credits([*orders, *TOUCHES], NAMES, "ord")
    assert {id: touch.id for id, touch in found.items()} == credited
