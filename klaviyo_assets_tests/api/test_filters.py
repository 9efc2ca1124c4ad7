from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api import (
    all_of,
    any_of,
    between,
    equals,
    greater_or_equal,
    greater_than,
    has,
    less_or_equal,
    less_than,
    strictly_between,
)

T = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (equals("messages.channel", "email"), 'equals(messages.channel,"email")'),
        (equals("name", 'a "b" \\ c'), 'equals(name,"a \\"b\\" \\\\ c")'),
        (equals("archived", True), "equals(archived,true)"),
        (equals("x", None), "equals(x,null)"),
        (equals("metric_id", ["A", "B"]), 'equals(metric_id,["A","B"])'),
        (greater_than("timestamp", 1700000000), "greater-than(timestamp,1700000000)"),
        (greater_or_equal("datetime", T), "greater-or-equal(datetime,2026-01-31T10:00:00Z)"),
        (less_than("d", T.astimezone(timezone(timedelta(hours=2)))), "less-than(d,2026-01-31T10:00:00Z)"),
        (less_or_equal("d", date(2026, 1, 31)), "less-or-equal(d,2026-01-31)"),
        (less_than("rating", 4.5), "less-than(rating,4.5)"),
        (any_of("id", ("a", "b")), 'any(id,["a","b"])'),
        (has("metric"), "has(metric)"),
        (all_of(has("metric"), None, equals("a", 1)), "has(metric),equals(a,1)"),
        (
            between("d", T, T + timedelta(days=1)),
            "greater-or-equal(d,2026-01-31T10:00:00Z),less-than(d,2026-02-01T10:00:00Z)",
        ),
        (between("d", T, None), "greater-or-equal(d,2026-01-31T10:00:00Z)"),
        (
            strictly_between("updated", T, T + timedelta(hours=1)),
            "greater-than(updated,2026-01-31T09:59:59Z),less-than(updated,2026-01-31T11:00:01Z)",
        ),
    ],
)
def test_text(built: str, text: str) -> None:
    assert built == text


@given(st.text())
def test_a_string_never_ends_early(value: str) -> None:
    literal = equals("name", value).removeprefix("equals(name,").removesuffix(")")
    inner = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', literal, re.DOTALL)
    assert inner and re.sub(r"\\(.)", r"\1", inner[1], flags=re.DOTALL) == value


def test_what_has_no_literal_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        greater_than("updated", datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="field name"):
        equals("a),equals(b", 1)
    with pytest.raises(ValueError, match="field name"):
        has("")
    with pytest.raises(ValueError, match="no literal"):
        equals("a", float("nan"))
    with pytest.raises(TypeError, match="bytes"):
        equals("a", b"x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        any_of("id", [])
    with pytest.raises(ValueError, match="at least one"):
        all_of(None)
