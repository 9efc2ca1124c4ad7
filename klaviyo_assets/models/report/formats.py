"""How figures are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Format = Callable[[float | None], str]
"""Writes a figure; `NOTHING` for None."""

NOTHING = "-"

_LONGEST = 120


def number(value: float | None) -> str:
    """Write a whole number."""
    return NOTHING if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """Write a share."""
    return NOTHING if value is None else f"{value:.1%}"


@dataclass(frozen=True)
class Money:
    """Writes amounts. currency: an ISO code, or nothing if it is not known."""

    currency: str
    decimals: int = 2

    def __call__(self, value: float | None) -> str:
        """Write an amount."""
        from babel.numbers import get_currency_symbol

        symbol = get_currency_symbol(self.currency, locale="en") if self.currency else ""
        prefix = f"{symbol} " if symbol.isalpha() else symbol
        sign = "-" if value is not None and value < 0 else ""
        return NOTHING if value is None else f"{sign}{prefix}{abs(value):,.{self.decimals}f}"


def short(text: str) -> str:
    """Return of a name what a page has room for."""
    if not text.strip():
        return "(no name)"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@dataclass(frozen=True)
class Change:
    """What became of a figure since the period before. direction: up, down, or nothing. text: all of it, in words."""

    direction: str
    text: str


def change(now: float | None, before: float | None, written: Format) -> Change:
    """Compare a figure with that of the period before. written: how it is written, which also tells what is compared:
    shares by their difference, in points, and all else by the part that it grew or shrank.
    """
    if before is None or now is None:
        return Change("", f"period before: {written(before)}")
    from_ = f"from {written(before)}"
    if written(now) == written(before):
        return Change("", f"as before, {written(before)}")
    direction = "up" if now > before else "down"
    if written is percent:
        return Change(direction, f"{direction} {abs(now - before) * 100:.1f} points, {from_}")
    if before <= 0:
        return Change(direction, f"{direction} {from_}")  # there is nothing to be a part of
    return Change(direction, f"{direction} {abs(now / before - 1):,.1%}, {from_}")
