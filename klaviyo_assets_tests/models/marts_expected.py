"""What the marts say of the account of `marts_by_hand`, counted by hand. Figures that are not named are 0 or NULL."""

from __future__ import annotations

import datetime as dt
from typing import Any

from klaviyo_assets_tests.models.by_hand import at

Rows = dict[Any, dict[str, Any]]

_N1, _N2 = at("05-04 08:00"), at("05-12 10:00")

MESSAGE_EVENTS = {
    "m01": ("nm1", "email", "delivered", _N1, 0, 0),
    "m02": ("nm1", "email", "delivered", _N1, 0, 0),
    "m03": ("nm1", "email", "delivered", _N1, 0, 0),
    "m04": ("nm1", "email", "delivered", _N1, 0, 0),
    "m05": ("nm1", "email", "bounced", _N1, 0, 0),
    "m06": ("nm1", "email", "opened", _N1, 0, 0),
    "m07": ("nm1", "email", "opened", _N1, 0, 0),
    "m08": ("nm1", "email", "opened", _N1, 1, 0),
    "m09": ("nm1", "email", "opened", _N1, 1, 0),
    "m10": ("nm1", "email", "opened", _N1, 0, 0),
    "m11": ("nm1", "email", "clicked", _N1, 0, 0),
    "m12": ("nm1", "email", "clicked", _N1, 0, 1),
    "m13": ("nm1", "email", "unsubscribed", _N1, 0, 0),
    "m14": ("nm1", "email", "marked_as_spam", _N1, 0, 0),
    "m15": ("nm1", "email", "other", _N1, 0, 0),
    "t01": ("nm2", "text", "delivered", _N2, 0, 0),
    "t02": ("nm2", "text", "delivered", _N2, 0, 0),
    "t03": ("nm2", "text", "failed", _N2, 0, 0),
    "t04": ("nm2", "text", "clicked", _N2, 0, 0),
    "f01": ("wm1", "email", "delivered", at("05-31 23:30"), 0, 0),
    "f02": ("wm1", "email", "opened", at("05-31 23:30"), 0, 0),
    "f03": ("wm1", "email", "clicked", at("05-31 23:30"), 0, 0),
    "f04": ("wm1", "email", "delivered", at("05-20 09:00"), 0, 0),
    "f05": ("wm1", "email", "dropped", at("05-21 09:00"), 0, 0),
    "f06": ("wm1", "email", "delivered", at("05-20 09:00"), 0, 0),
    "f07": ("wm1", "email", "opened", at("05-22 09:00"), 0, 0),
    "f08": ("wm1", "email", "other", at("05-20 09:00"), 0, 0),
    **{f"v{number:02}": ("wm2", "email", "delivered", at("03-02 09:00"), 0, 0) for number in range(10)},
    **{f"w{number:02}": ("wm2", "email", "opened", at("03-02 09:00"), 0, 0) for number in range(5)},
}
"""Event -> message, channel, action, when the message was sent, machine, bot."""

_ORDERS = [*(f"o{number:02}" for number in range(1, 12)), "big1", "big2"]

CREDITS: dict[str, dict[str, str | None]] = {
    "event": dict.fromkeys(_ORDERS) | {"o01": "m11", "o02": "m08", "o04": "m10", "o05": "t01", "o07": "f03"},
    "window": dict.fromkeys(_ORDERS)
    | {"o01": "m11", "o02": "m08", "o03": "m12", "o04": "m10", "o05": "t01", "o06": "t04", "o07": "f03"},
    "human": dict.fromkeys(_ORDERS) | {"o01": "m11", "o04": "m10", "o05": "t01", "o06": "t04", "o07": "f03"},
}
"""Way -> order -> the event that earned the credit. The windows of o05 and o06 end with the second of the order."""


def _counts(**figures: float) -> dict[str, float]:
    """Figures, each of as many people as there are events."""
    return {
        name: value
        for figure, count in figures.items()
        for name, value in ((figure, count), (f"unique_{figure}", count))
    }


def _orders(event: tuple[int, float], window: tuple[int, float], human: tuple[int, float]) -> dict[str, float]:
    """Orders and revenue by the three ways, each order of another person."""
    found: dict[str, float] = {}
    for suffix, (orders, revenue) in (("", event), ("_by_window", window), ("_by_human_touch", human)):
        found |= {f"orders{suffix}": orders, f"unique_orders{suffix}": orders, f"revenue{suffix}": revenue}
    return found


def _all_periods(message: str, date_type: str, day: str, week: str, month: str, figures: dict[str, Any]) -> Rows:
    """The same figures of a day, its week and its month."""
    starts = {"day": day, "week": week, "month": month}
    return {(message, date_type, period, at(start).date()): figures for period, start in starts.items()}


def _key(message: str, period: str, start: str, date_type: str = "event_date") -> tuple[str, str, str, dt.date]:
    return message, date_type, period, at(start).date()


# Of five people four got it. Ann opened twice, Ben's and Dan's machines once, Dan a week later himself; Ann clicked, a
# bot did for Cat. Ann (100), Ben (50) and Dan (20) ordered, by what the events say; by windows also Cat (30), by that.
_NEWS_IN_ALL = {
    "sent": 5,
    **_counts(delivered=4, bounced=1, clicked=2, clicked_without_bots=1, unsubscribed=1, marked_as_spam=1),
    "opened": 5, "unique_opened": 3, "opened_without_machines": 3, "unique_opened_without_machines": 2,
    **_orders((3, 170), (4, 200), (2, 120)),
    "delivery_rate": 4 / 5, "bounce_rate": 1 / 5, "open_rate": 3 / 4, "open_rate_without_machines": 2 / 4,
    "click_rate": 2 / 4, "click_rate_without_bots": 1 / 4, "click_to_open_rate": 2 / 3, "unsubscribe_rate": 1 / 4,
    "spam_rate": 1 / 4, "order_rate": 3 / 4, "revenue_per_delivered": 170 / 4,
}  # fmt: skip

_NEWS_MONDAY = {
    "sent": 5,
    **_counts(
        delivered=4, bounced=1, opened=3, opened_without_machines=1, clicked=2, clicked_without_bots=1
    ),
    **_orders((1, 100), (1, 100), (1, 100)),
    "delivery_rate": 4 / 5, "bounce_rate": 1 / 5, "open_rate": 3 / 4, "open_rate_without_machines": 1 / 4,
    "click_rate": 2 / 4, "click_rate_without_bots": 1 / 4, "click_to_open_rate": 2 / 3, "order_rate": 1 / 4,
    "revenue_per_delivered": 25,
}  # fmt: skip

_NEWS_FIRST_WEEK = {
    "sent": 5,
    **_counts(delivered=4, bounced=1, clicked=2, clicked_without_bots=1, unsubscribed=1),
    "opened": 4, "unique_opened": 3, "opened_without_machines": 2, "unique_opened_without_machines": 1,
    **_orders((2, 150), (3, 180), (1, 100)),
    "delivery_rate": 4 / 5, "bounce_rate": 1 / 5, "open_rate": 3 / 4, "open_rate_without_machines": 1 / 4,
    "click_rate": 2 / 4, "click_rate_without_bots": 1 / 4, "click_to_open_rate": 2 / 3, "unsubscribe_rate": 1 / 4,
    "order_rate": 2 / 4, "revenue_per_delivered": 150 / 4,
}  # fmt: skip

_DAN_A_WEEK_LATER = {
    **_counts(opened=1, opened_without_machines=1, marked_as_spam=1),
    **_orders((1, 20), (1, 20), (1, 20)),
    "click_to_open_rate": 0,
}

# Two of three got the text. Ann (40) and the one with a phone only (60, by windows) ordered.
_QUICK_IN_ALL = {
    "sent": 3,
    **_counts(delivered=2, failed=1, clicked=1, clicked_without_bots=1),
    **_orders((1, 40), (2, 100), (2, 100)),
    "delivery_rate": 2 / 3, "bounce_rate": 1 / 3, "click_rate": 1 / 2, "click_rate_without_bots": 1 / 2,
    "order_rate": 1 / 2, "revenue_per_delivered": 20,
}  # fmt: skip

_QUICK_TUESDAY = {**_QUICK_IN_ALL, **_orders((1, 40), (1, 40), (1, 40))}

# The flow reached Eve, Ben and a deleted profile, which counts as a message and as nobody.
_EVE_READS = {
    **_counts(opened=1, opened_without_machines=1, clicked=1, clicked_without_bots=1),
    **_orders((1, 70), (1, 70), (1, 70)),
    "click_to_open_rate": 1,
}
_EVE_SENT = {
    "sent": 1, **_counts(delivered=1), **_EVE_READS,
    **dict.fromkeys(("delivery_rate", "open_rate", "open_rate_without_machines", "click_rate"), 1),
    "click_rate_without_bots": 1, "order_rate": 1, "revenue_per_delivered": 70,
}  # fmt: skip
_TWO_SENT = {"sent": 2, "delivered": 2, "unique_delivered": 1, "delivery_rate": 1}
_DROPPED = _counts(dropped=1)
_NOBODY_OPENS = {"opened": 1, "opened_without_machines": 1}
_MID_MAY = {**_TWO_SENT, **_DROPPED, **_NOBODY_OPENS}
"""The week from 18 May: an open of nobody is no person, so that the rates of people are 0."""

_MAY_SENT = {
    "sent": 3, "delivered": 3, "unique_delivered": 2, **_DROPPED, **_counts(clicked=1, clicked_without_bots=1),
    "opened": 2, "unique_opened": 1, "opened_without_machines": 2, "unique_opened_without_machines": 1,
    **_orders((1, 70), (1, 70), (1, 70)),
    "delivery_rate": 1, "open_rate": 1 / 3, "open_rate_without_machines": 1 / 3, "click_rate": 1 / 3,
    "click_rate_without_bots": 1 / 3, "click_to_open_rate": 1, "order_rate": 1 / 3, "revenue_per_delivered": 70 / 3,
}  # fmt: skip

_TEST = {
    "sent": 10, **_counts(delivered=10, opened=5, opened_without_machines=5),
    "delivery_rate": 1, "open_rate": 0.5, "open_rate_without_machines": 0.5,
}  # fmt: skip

MESSAGE_PERFORMANCE: Rows = {
    **_all_periods("wm2", "send_date", "03-02", "03-02", "03-01", _TEST),
    **_all_periods("wm2", "event_date", "03-02", "03-02", "03-01", _TEST),
    **_all_periods("nm1", "send_date", "05-04", "05-04", "05-01", _NEWS_IN_ALL),
    _key("nm1", "day", "05-04"): _NEWS_MONDAY,
    _key("nm1", "day", "05-05"): {
        **_counts(opened=1, opened_without_machines=1), **_orders((0, 0), (1, 30), (0, 0)),
    },
    _key("nm1", "day", "05-06"): _counts(unsubscribed=1),
    _key("nm1", "day", "05-08"): _orders((1, 50), (1, 50), (0, 0)),
    _key("nm1", "day", "05-11"): _DAN_A_WEEK_LATER,
    _key("nm1", "week", "05-04"): _NEWS_FIRST_WEEK,
    _key("nm1", "week", "05-11"): _DAN_A_WEEK_LATER,
    _key("nm1", "month", "05-01"): _NEWS_IN_ALL,
    **_all_periods("nm2", "send_date", "05-12", "05-11", "05-01", _QUICK_IN_ALL),
    _key("nm2", "day", "05-12"): _QUICK_TUESDAY,
    _key("nm2", "day", "05-17"): _orders((0, 0), (1, 60), (1, 60)),
    _key("nm2", "week", "05-11"): _QUICK_IN_ALL,
    _key("nm2", "month", "05-01"): _QUICK_IN_ALL,
    _key("wm1", "day", "05-20", "send_date"): _TWO_SENT,
    _key("wm1", "day", "05-21", "send_date"): _DROPPED,
    _key("wm1", "day", "05-22", "send_date"): _NOBODY_OPENS,
    _key("wm1", "day", "05-31", "send_date"): _EVE_SENT,
    _key("wm1", "week", "05-18", "send_date"): _MID_MAY,
    _key("wm1", "week", "05-25", "send_date"): _EVE_SENT,
    _key("wm1", "month", "05-01", "send_date"): _MAY_SENT,
    _key("wm1", "day", "05-20"): _TWO_SENT,
    _key("wm1", "day", "05-21"): _DROPPED,
    _key("wm1", "day", "05-22"): _NOBODY_OPENS,
    _key("wm1", "day", "05-31"): {"sent": 1, **_counts(delivered=1), "delivery_rate": 1},
    _key("wm1", "day", "06-01"): _EVE_READS,
    _key("wm1", "week", "05-18"): _MID_MAY,
    _key("wm1", "week", "05-25"): {"sent": 1, **_counts(delivered=1), "delivery_rate": 1},
    _key("wm1", "week", "06-01"): _EVE_READS,
    _key("wm1", "month", "05-01"): {
        "sent": 3, "delivered": 3, "unique_delivered": 2, "delivery_rate": 1, **_DROPPED, **_NOBODY_OPENS,
    },
    _key("wm1", "month", "06-01"): _EVE_READS,
}  # fmt: skip


def _shares(orders: int, people: int, revenue: float, of: float, suffixes: str = "ewh") -> dict[str, float]:
    """Orders, people, revenue and its share; suffixes: e by events, w by windows, h by human touches."""
    names = {"e": "", "w": "_by_window", "h": "_by_human_touch"}
    found: dict[str, float] = {}
    for suffix in map(names.__getitem__, suffixes):
        found |= {f"orders{suffix}": orders, f"unique_orders{suffix}": people, f"revenue{suffix}": revenue}
        found[f"share_of_revenue{suffix}"] = revenue / of
    return found


def _of(credited_to: str, channel: str, period: str, start: str) -> tuple[str, str, str, dt.date]:
    return credited_to, channel, period, at(start).date()


_EMAIL, _TEXTS, _FLOWS, _NONE = ("campaign", "email"), ("campaign", "text"), ("flow", "email"), ("none", "none")

CHANNEL_REVENUE: Rows = {
    _of(*_EMAIL, "day", "05-04"): _shares(1, 1, 100, 100),
    _of(*_EMAIL, "day", "05-05"): _shares(1, 1, 30, 30, "w"),
    _of(*_NONE, "day", "05-05"): _shares(1, 1, 30, 30, "eh"),
    _of(*_EMAIL, "day", "05-08"): _shares(1, 1, 50, 50, "ew"),
    _of(*_NONE, "day", "05-08"): _shares(1, 1, 50, 50, "h"),
    _of(*_EMAIL, "day", "05-11"): _shares(1, 1, 20, 20),
    _of(*_TEXTS, "day", "05-12"): _shares(1, 1, 40, 40),
    _of(*_TEXTS, "day", "05-17"): _shares(1, 1, 60, 60, "wh"),
    _of(*_NONE, "day", "05-17"): _shares(1, 1, 60, 60, "e"),
    _of(*_FLOWS, "day", "06-01"): _shares(1, 1, 70, 70),
    _of(*_NONE, "day", "06-02"): _shares(4, 1, 25, 25),
    _of(*_NONE, "day", "06-10"): _shares(1, 1, 25, 25),
    _of(*_NONE, "day", "06-30"): _shares(1, 1, 80, 80),
    _of(*_EMAIL, "week", "05-04"): (
        _shares(2, 2, 150, 180, "e") | _shares(3, 3, 180, 180, "w") | _shares(1, 1, 100, 180, "h")
    ),
    _of(*_NONE, "week", "05-04"): _shares(1, 1, 30, 180, "e") | _shares(2, 2, 80, 180, "h"),
    _of(*_EMAIL, "week", "05-11"): _shares(1, 1, 20, 120),
    _of(*_TEXTS, "week", "05-11"): _shares(1, 1, 40, 120, "e") | _shares(2, 2, 100, 120, "wh"),
    _of(*_NONE, "week", "05-11"): _shares(1, 1, 60, 120, "e"),
    _of(*_FLOWS, "week", "06-01"): _shares(1, 1, 70, 95),
    _of(*_NONE, "week", "06-01"): _shares(4, 1, 25, 95),
    _of(*_NONE, "week", "06-08"): _shares(1, 1, 25, 25),
    _of(*_NONE, "week", "06-29"): _shares(1, 1, 80, 80),
    _of(*_EMAIL, "month", "05-01"): (
        _shares(3, 3, 170, 300, "e") | _shares(4, 4, 200, 300, "w") | _shares(2, 2, 120, 300, "h")
    ),
    _of(*_TEXTS, "month", "05-01"): _shares(1, 1, 40, 300, "e") | _shares(2, 2, 100, 300, "wh"),
    _of(*_NONE, "month", "05-01"): _shares(2, 2, 90, 300, "e") | _shares(2, 2, 80, 300, "h"),
    _of(*_FLOWS, "month", "06-01"): _shares(1, 1, 70, 200),
    _of(*_NONE, "month", "06-01"): _shares(6, 3, 130, 200),
}  # fmt: skip
"""In June a deleted profile ordered too, which is nobody, and twice for more than there is, which is 0. A share is
one of the revenue of the period."""


def _rate(name: str, rate: float, low: float, high: float) -> dict[str, float]:
    return {name: rate, f"{name}_low": low, f"{name}_high": high}


_ALL_OF_2, _HALF_OF_2, _NONE_OF_2 = (1, 0.342372, 1), (0.5, 0.094529, 0.905471), (0, 0, 0.657628)
_ALL_OF_5, _NONE_OF_5 = (1, 0.565508, 1), (0, 0, 0.434492)
_NOBODY_DID = ("click_rate", "click_rate_without_bots", "order_rate")

VARIATION_RESULTS: Rows = {
    ("nm1", "nv1"): {
        "recipients": 2, "openers": 2, "openers_without_machines": 1, "clickers": 1, "clickers_without_bots": 1,
        "buyers": 2, "orders": 2, "revenue": 150, "revenue_per_recipient": 75,
        **_rate("open_rate", *_ALL_OF_2), **_rate("open_rate_without_machines", *_HALF_OF_2),
        **_rate("click_rate", *_HALF_OF_2), **_rate("click_rate_without_bots", *_HALF_OF_2),
        **_rate("order_rate", *_ALL_OF_2),
    },
    ("nm1", "nv2"): {
        "recipients": 2, "openers": 1, "openers_without_machines": 1, "clickers": 1, "buyers": 1, "orders": 1,
        "revenue": 20, "revenue_per_recipient": 10,
        **_rate("open_rate", *_HALF_OF_2), **_rate("open_rate_without_machines", *_HALF_OF_2),
        **_rate("click_rate", *_HALF_OF_2), **_rate("click_rate_without_bots", *_NONE_OF_2),
        **_rate("order_rate", *_HALF_OF_2),
    },
    ("wm2", "wv1"): {
        "recipients": 5, "openers": 5, "openers_without_machines": 5, "wins_by_opens": 1,
        **_rate("open_rate", *_ALL_OF_5), **_rate("open_rate_without_machines", *_ALL_OF_5),
        **{name: value for rate in _NOBODY_DID for name, value in _rate(rate, *_NONE_OF_5).items()},
    },
    ("wm2", "wv2"): {
        "recipients": 5,
        **_rate("open_rate", *_NONE_OF_5), **_rate("open_rate_without_machines", *_NONE_OF_5),
        **{name: value for rate in _NOBODY_DID for name, value in _rate(rate, *_NONE_OF_5).items()},
    },
}  # fmt: skip
"""Of two recipients nothing can be told; that all of five open, and none of the other five, decides a test."""


def _messages(**figures: float) -> dict[str, float]:
    """Figures, each of as many messages as there are events."""
    return {
        name: value
        for figure, count in figures.items()
        for name, value in ((figure, count), (f"messages_{figure}", count))
    }


DELIVERABILITY: Rows = {
    ("Gmail", at("05-04").date()): {
        "sent": 2, "delivered": 2, "opened": 3, "messages_opened": 2, "opened_without_machines": 2,
        "messages_opened_without_machines": 1, **_messages(clicked=1, clicked_without_bots=1),
        "delivery_rate": 1, "open_rate": 1, "open_rate_without_machines": 0.5, "click_rate": 0.5,
        "click_rate_without_bots": 0.5, "click_to_open_rate": 0.5,
    },
    ("Microsoft", at("05-04").date()): {
        "sent": 1, "delivered": 1, **_messages(clicked=1, unsubscribed=1),
        "delivery_rate": 1, "click_rate": 1, "unsubscribe_rate": 1,
    },
    ("Apple", at("05-04").date()): {
        "sent": 1, "delivered": 1, "opened": 2, "messages_opened": 1, **_messages(opened_without_machines=1),
        **_messages(marked_as_spam=1),
        "delivery_rate": 1, "open_rate": 1, "open_rate_without_machines": 1, "spam_rate": 1,
    },
    ("Other", at("05-04").date()): {"sent": 1, "bounced": 1, "hard_bounced": 1, "bounce_rate": 1},
    ("Gmail", at("05-18").date()): {"sent": 1, "delivered": 1, "dropped": 1, "delivery_rate": 1},
    ("Microsoft", at("05-18").date()): {
        "sent": 1, "delivered": 1, "opened": 1, "opened_without_machines": 1, "delivery_rate": 1,
    },
    ("Gmail", at("05-25").date()): {
        "sent": 1, "delivered": 1,
        **_messages(opened=1, opened_without_machines=1, clicked=1, clicked_without_bots=1),
        **dict.fromkeys(("delivery_rate", "open_rate", "open_rate_without_machines", "click_rate"), 1),
        "click_rate_without_bots": 1, "click_to_open_rate": 1,
    },
    ("Other", at("03-02").date()): {
        "sent": 10, "delivered": 10, **_messages(opened=5, opened_without_machines=5),
        "delivery_rate": 1, "open_rate": 0.5, "open_rate_without_machines": 0.5,
    },
}  # fmt: skip


def _without_rates(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if "_rate" not in name and "_per_" not in name}


CAMPAIGN_CALENDAR: Rows = {
    ("n1", "email", at("05-04").date()): {
        "is_sent": 1, "weekday": 1, "hour_of_day": 8, **_without_rates(_NEWS_IN_ALL),
    },
    ("n2", "text", at("05-12").date()): {
        "is_sent": 1, "weekday": 2, "hour_of_day": 10, **_without_rates(_QUICK_IN_ALL),
    },
    ("n3", "email", at("07-06").date()): {"weekday": 1, "hour_of_day": 8, "days_since_previous": 63},
    ("n4", "email", None): {},
}  # fmt: skip

# Tea and cup of a shop; a pot by its row's total; a name alone; Ordered Product has the price of all pieces.
ORDER_LINES = {
    ("o01", 1): ("S1", "q1", "Tea", "T1", "11", "111", 2, 30, 60, "n1"),
    ("o01", 2): ("S1", "q1", "Cup", "C1", None, None, 1, 40, 40, "n1"),
    ("o02", 1): ("S2", "q2", "Pot", "P1", "12", None, 1, 25, 50, "n1"),
    ("o03", 1): ("S3", "q3", "Tea", "T1", None, None, 1, 30, 30, None),
    ("o04", 1): ("S4", "q4", "Tea", None, None, None, 1, None, None, "n1"),
    ("o05", 1): ("S5", "q1", "$40 Cup", "C1", None, None, 1, 40, 40, "n2"),
    ("o07", 1): ("S7", "q5", "Tea", "T1", "11", "111", 2, 30, 60, None),
    ("o07", 2): ("S7", "q5", "Sieve", None, None, None, 1, 10, 10, None),
    **{(f"big{number}", 1): (None, None, "Tea", None, None, None, 1, None, None, None) for number in (1, 2)},
    ("l01", 1): ("S1", "q1", "Tea", "T1", None, None, 2, 30, 60, None),
    ("l02", 1): ("S1", "q1", "$40 Cup", "C1", None, None, 1, 40, 40, None),
    ("l03", 1): (None, "q2", "Pot", None, "12", None, 1, 50, 50, None),
}
"""Event and line -> order, person, name, sku, product, variant, quantity, price, value, campaign."""


def _week(list_id: str | None, channel: str, start: str) -> tuple[str | None, str, dt.date]:
    return list_id, channel, at(start).date()


LIST_GROWTH: Rows = {
    _week("L1", "email", "04-27"): {"people_joined": 2, "people_gained": 2, "people_consented": 2},
    _week("L1", "email", "05-04"): {
        "people_joined": 3, "people_left": 1, "people_gained": 2, "people_suppressed": 1, "people_withdrew": 1,
    },
    _week("L1", "email", "05-11"): {"people_left": 1, "people_gained": -1, "people_suppressed": 1},
    _week("L1", "text", "04-27"): {"people_joined": 2, "people_gained": 2},
    _week("L1", "text", "05-04"): {"people_joined": 1, "people_gained": 1, "people_consented": 1},
    _week("L1", "text", "05-11"): {"people_consented": 1},
    _week("L2", "email", "04-27"): {"people_consented": 2},
    _week("L2", "email", "05-11"): {"people_joined": 2, "people_gained": 2},
    _week("L2", "text", "05-11"): {"people_joined": 2, "people_gained": 2, "people_consented": 1},
    _week(None, "email", "04-27"): {"people_joined": 2, "people_gained": 2, "people_consented": 2},
    _week(None, "email", "05-04"): {
        "people_left": 1, "people_gained": -1, "people_suppressed": 1, "people_withdrew": 1,
    },
    _week(None, "email", "05-11"): {"people_suppressed": 1},
    _week(None, "text", "05-04"): {"people_joined": 1, "people_gained": 1, "people_consented": 1},
    _week(None, "text", "05-11"): {"people_joined": 1, "people_left": 1, "people_consented": 1},
}  # fmt: skip
"""Dan was first missed on 14 May. Ann subscribed twice in a week, which counts once."""


def _customer(orders: int, value: float, days: int, scores: int, **more: Any) -> dict[str, Any]:
    recency, frequency, monetary = map(int, str(scores))
    return {
        "orders": orders, "order_value": value, "average_order_value": value / orders, "days_since_last_order": days,
        "days_since_engaged": days, "recency_score": recency, "frequency_score": frequency, "monetary_score": monetary,
        "rfm": scores, "messages_delivered": 1, **more,
    }  # fmt: skip


CUSTOMERS: Rows = {
    ("q1", "active", at("05-01").date()): _customer(
        3, 150, 29, 354, messages_delivered=2, cancelled_orders=1, refunded_value=30, can_receive_email=1,
        can_receive_text=1, predicted_value=200, lifetime_value=350, churn_probability=0.25,
    ),
    ("q2", "active", at("05-01").date()): _customer(2, 75, 21, 433, messages_delivered=2, can_receive_email=1),
    ("q3", "cooling", at("05-01").date()): _customer(1, 30, 57, 111),
    ("q4", "cooling", at("05-01").date()): _customer(1, 20, 51, 111),
    ("q5", "active", at("06-01").date()): _customer(2, 150, 1, 534),
    ("q6", "cooling", at("05-01").date()): _customer(1, 60, 45, 212, can_receive_text=1),
    **{(f"r{number}", "lapsed", None): {"messages_delivered": 1, "days_since_engaged": 121} for number in range(5)},
    **{(f"r{number}", "never", None): {"messages_delivered": 1} for number in range(5, 10)},
}  # fmt: skip
"""Days until 1 July, the last event. Of six who ordered: Eve last, Ann most often; Ann and Eve for the same amount."""

COHORTS: Rows = {
    (at("05-01").date(), 0): {
        "customers": 5, "unique_customers_ordering": 5, "orders": 6, "revenue": 300, "revenue_until_then": 300,
        "retention_rate": 1, "revenue_per_customer_until_then": 60,
    },
    (at("05-01").date(), 1): {
        "months_since_first": 1, "customers": 5, "unique_customers_ordering": 2, "orders": 2, "revenue": 35,
        "revenue_until_then": 335, "retention_rate": 0.4, "revenue_per_customer_until_then": 67,
    },
    (at("05-01").date(), 2): {
        "months_since_first": 2, "customers": 5, "revenue_until_then": 335, "revenue_per_customer_until_then": 67,
    },
    (at("06-01").date(), 0): {
        "customers": 1, "unique_customers_ordering": 1, "orders": 2, "revenue": 150, "revenue_until_then": 150,
        "retention_rate": 1, "revenue_per_customer_until_then": 150,
    },
    (at("06-01").date(), 1): {
        "months_since_first": 1, "customers": 1, "revenue_until_then": 150, "revenue_per_customer_until_then": 150,
    },
}  # fmt: skip
"""In July nobody has ordered yet."""


def _number(ours: float, klaviyo: float, **causes: float) -> dict[str, float]:
    return {"ours": ours, "klaviyo": klaviyo, "difference": klaviyo - ours, **causes}


NUMBERS: Rows = {
    ("nm1", "delivered"): _number(4, 4),
    ("nm1", "bounced"): _number(1, 1),
    ("nm1", "failed"): _number(0, 0),
    ("nm1", "opens"): _number(5, 5),
    ("nm1", "opens_unique"): _number(3, 3),
    ("nm1", "clicks"): _number(2, 2),
    ("nm1", "clicks_unique"): _number(2, 2),
    ("nm1", "unsubscribes"): _number(1, 1),
    ("nm1", "unsubscribe_uniques"): _number(1, 1),
    ("nm1", "spam_complaints"): _number(1, 2, unexplained=1),
    ("nm1", "conversions"): _number(3, 4, attribution_window=1),
    ("nm1", "conversion_uniques"): _number(3, 4, attribution_window=1),
    ("nm1", "conversion_value"): _number(170, 200, attribution_window=30),
    ("nm2", "delivered"): _number(2, 2),
    ("nm2", "failed"): _number(1, 1),
    ("nm2", "clicks"): _number(1, 1),
    ("nm2", "clicks_unique"): _number(1, 1),
    ("nm2", "conversions"): _number(1, 1, attribution_window=1, events_after_report=-1),
    ("nm2", "conversion_uniques"): _number(1, 1, attribution_window=1, events_after_report=-1),
    ("nm2", "conversion_value"): _number(40, 40, attribution_window=60, events_after_report=-60),
    ("wm1", "delivered"): _number(2, 3, time_zone=1),
    ("wm1", "opens"): _number(1, 2, time_zone=1),
    ("wm1", "opens_unique"): _number(0, 2, time_zone=1, deleted_profiles=1),
    ("wm1", "clicks"): _number(0, 3, time_zone=1, unexplained=2),
    ("wm1", "conversions"): _number(0, 0, time_zone=1, events_after_report=-1),
    ("wm1", "conversion_value"): _number(0, 0, time_zone=70, events_after_report=-70),
    ("wm2", "delivered"): _number(10, 12, events_not_read_yet=2),
    ("wm2", "opens"): _number(5, 4, unexplained=-1),
    ("wm2", "opens_unique"): _number(5, 5),
}
"""EVENT has been read from April on. Who opened wm1 and was deleted is nobody for us, and somebody for Klaviyo."""
