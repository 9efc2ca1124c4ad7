"""Properties as real accounts have them and software breaks on: odd names, changing types, extreme values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

INJECTION = '"); drop table event; --'
LONG_NAME = "n" * 300
DRIFTING = "Loyalty Level"
DRIFT: tuple[Any, ...] = (7, "seven", ["7", 7], {"level": 7}, None, True, 7.5)
"""Values that the property `DRIFTING` takes by turns."""


def nested(depth: int) -> dict[str, Any]:
    """Objects and lists inside one another."""
    value: dict[str, Any] = {"leaf": [1, "two", None, {"three": 3.0}]}
    for level in range(depth):
        value = {f"level {level}": [value] if level % 2 else value}
    return value


_EVENT_PROPERTIES: tuple[Callable[[int], dict[str, Any]], ...] = (
    lambda n: {INJECTION: "Robert", "'; select 1; /*": n, "`tick`": "``", "[bracket]": "]", "back\\slash": "\\"},
    lambda n: {"": "the name is empty", " ": "a blank", "  padded  ": n},
    lambda n: {LONG_NAME: n, LONG_NAME + "2": n},
    lambda n: {"🍵": "tea", "emoji 💌 inside": "👩‍👩‍👧", "名前": "煎茶", "\u202eright to left": "שלום"},
    lambda n: {"Value": n, "value": str(n), "VALUE": float(n)},
    lambda n: {"Campaign Name": "upper", "campaign name": "lower", "campaign_name": "snake"},
    lambda n: {"a.b.c": "dots", "a": {"b": {"c": "an object"}}, "a b": 1, "a-b": 2, "a_b": 3, "a/b": 4},
    lambda n: {DRIFTING: DRIFT[n % len(DRIFT)]},
    lambda n: {"big": 2**70, "beyond": -(2**63) - 1, "edge": 2**63 - 1, "beyond double": 2**53 + 1},
    lambda n: {"tiny": 1e-7, "huge": 1.7976931348623157e308, "negative zero": -0.0, "third": 1 / 3},
    lambda n: {"nested": nested(9)},
    lambda n: {"unicode": "Ünïcödé \u0000 nul, \u2028 line, tab\t, newline\n, ￿", "combining": "e\u0301"},
    lambda n: {"$value": f"{n}.50", "Item Count": str(n), "as number": "1e5", "as bool": "true", "as null": "null"},
    lambda n: {"date": "2026-02-30", "datetime": "2023-08-10 07:21:56+00:00", "year": "0000-00-00", "epoch": 0},
    lambda n: {"select": 1, "order": 2, "_fivetran_deleted": "no", "event_id": "x", "id": n, "datetime": "never"},
    lambda n: {"empty list": [], "empty object": {}, "empty text": "", "mixed": [1, "a", None, {"b": []}]},
    lambda n: {"1st": 1, "$$double": 2, "#": 3, "%s": "%s", "{}": "{}", "?": "?", ":name": ":name"},
    lambda n: {"not a number": "NaN", "infinity": "Infinity", "pi": math.pi},
)
NASTY_KINDS = len(_EVENT_PROPERTIES)

NASTY_PROFILE_PROPERTIES: tuple[dict[str, Any], ...] = (
    {'"); drop table person; --': 1, "": "no name"},
    {"Plan": "pro", "plan": 3},
    {LONG_NAME: "long", "🎂": "1990-05-17"},
    {"big": 2**70, "tiny": 1e-7, "negative zero": -0.0},
    {"address.city": "dots", "nested": nested(5)},
    {DRIFTING: "gold"},
    {DRIFTING: 3},
    {DRIFTING: ["gold", 3]},
    {DRIFTING: None},
    {"email": "property@example.com", "id": "property", "updated": "property", "custom_id": 1},
    {"$source": "sv", "$first_name": "Shadow", "Note": "x" * 10_000},
    {"last_visit": "2023-08-10 07:21:56+00:00", "score": "12.50", "vip": "true"},
)


def nasty_properties(number: int) -> dict[str, Any]:
    """Properties for the `number`-th nasty event; the kinds take turns."""
    return _EVENT_PROPERTIES[number % NASTY_KINDS](number // NASTY_KINDS)


def long_text(number: int) -> dict[str, Any]:
    """A property as long as Klaviyo accepts, of about 100 kB."""
    return {"Note": f"{number}: " + "All the tea in China. " * 4600}


def wide(number: int) -> dict[str, Any]:
    """As many properties as Klaviyo accepts for one event."""
    return {f"Question {question}": (number + question) % 5 for question in range(300)}
