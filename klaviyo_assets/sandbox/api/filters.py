"""Klaviyo's filter language: `equals(status,"live"),greater-than(updated,2026-01-01T00:00:00Z)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from klaviyo_assets.sandbox.api.errors import ApiError, invalid
from klaviyo_assets.sandbox.api.operation import Filter

NEAR = timedelta(seconds=5)
"""Dates that lie less than this before now are refused as if they lay in the future."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_$][\w$]*(?:[.-][\w$]+)*)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<date>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+ -]\d\d:?\d\d)?)?)"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<mark>[(),\[\]]))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda found, wanted: found == wanted,
    "any": lambda found, wanted: found == wanted,
    "contains-any": lambda found, wanted: found == wanted,
    "greater-than": lambda found, wanted: found > wanted,
    "greater-or-equal": lambda found, wanted: found >= wanted,
    "less-than": lambda found, wanted: found < wanted,
    "less-or-equal": lambda found, wanted: found <= wanted,
    "contains": lambda found, wanted: wanted in found,
    "starts-with": lambda found, wanted: found.startswith(wanted),
    "ends-with": lambda found, wanted: found.endswith(wanted),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a filter: values are str, bool, float or aware datetimes; a list holds those for `any`."""

    field: str
    operator: str
    values: tuple[Any, ...]

    def allows(self, found: Any) -> bool:
        """Whether a value of the field, of the same type as the condition's values, satisfies it."""
        compare = _COMPARE[self.operator]
        return found is not None and any(compare(found, wanted) for wanted in self.values)


def parse_filter(source: str, allowed: Mapping[str, Filter], now: datetime) -> list[Condition]:
    """The conditions of a filter, all of which must hold.

    Raises the `ApiError` 400 that Klaviyo answers to a filter that is malformed or not allowed, or that has a date
    later than `now`, or just before it, where that is refused.
    """
    return _Parser(source, allowed, now).conditions()


def parse_datetime(text: str) -> datetime:
    """A datetime of the API: ISO 8601 with `T` or space, any fraction, `Z` or offset; UTC when it has none."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Parser:
    def __init__(self, source: str, allowed: Mapping[str, Filter], now: datetime) -> None:
        self.source = source
        self.allowed = allowed
        self.now = now
        self.tokens = self._tokens()
        self.at = 0

    def conditions(self) -> list[Condition]:
        found = self._sequence()
        if self.at < len(self.tokens):
            raise self._malformed()
        return found

    def _tokens(self) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while at < len(self.source.rstrip()):
            match = _TOKEN.match(self.source, at)
            if match is None:
                raise self._malformed()
            kind = match.lastgroup or ""
            tokens.append((kind, match[kind]))
            at = match.end()
        return tokens

    def _next(self, kind: str, value: str | None = None) -> str:
        if self.at >= len(self.tokens):
            raise self._malformed()
        found_kind, found = self.tokens[self.at]
        if found_kind != kind or (value is not None and found != value):
            raise self._malformed()
        self.at += 1
        return found

    def _peek(self, mark: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at] == ("mark", mark)

    def _sequence(self) -> list[Condition]:
        found = self._expression()
        while self._peek(","):
            self._next("mark", ",")
            found += self._expression()
        return found

    def _expression(self) -> list[Condition]:
        operator = self._next("name")
        self._next("mark", "(")
        if operator == "and":
            found = self._sequence()
            self._next("mark", ")")
            return found
        field = self._next("name")
        if operator == "has":
            self._next("mark", ")")
            self._check(field, operator, is_list=False)
            return [Condition(field, operator, ())]
        self._next("mark", ",")
        is_list = self._peek("[")
        literals = self._list() if is_list else [self._literal()]
        self._next("mark", ")")
        rule = self._check(field, operator, is_list=is_list)
        return [Condition(field, operator, tuple(self._value(field, rule, *literal) for literal in literals))]

    def _list(self) -> list[tuple[str, str]]:
        self._next("mark", "[")
        literals = [self._literal()]
        while self._peek(","):
            self._next("mark", ",")
            literals.append(self._literal())
        self._next("mark", "]")
        return literals

    def _literal(self) -> tuple[str, str]:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] == "mark":
            raise self._malformed()
        self.at += 1
        return self.tokens[self.at - 1]

    def _check(self, field: str, operator: str, *, is_list: bool) -> Filter:
        rule = self.allowed.get(field)
        if rule is None:
            fields = ", ".join(sorted(self.allowed))
            raise invalid(
                f"'{field}' is not a filterable field for this resource.  Filterable fields are {fields}",
                parameter="filter",
            )
        # A single value is accepted wherever the document allows `equals` with a list (recorded on lists' profiles).
        singles = {*rule.operators, *(name for name in rule.list_operators if name == "equals")}
        if operator not in (rule.list_operators if is_list else singles):
            names = ", ".join(dict.fromkeys((*rule.operators, *rule.list_operators)))
            raise invalid(
                f"'{operator}' is not an allowed filter operator for {field}.  Allowed operators are {names}",
                parameter="filter",
            )
        return rule

    def _value(self, field: str, rule: Filter, kind: str, literal: str) -> Any:
        if rule.kind == "date" and kind == "date":
            return self._date(field, rule, literal)
        if rule.kind == "number" and kind == "number":
            return float(literal)
        if rule.kind == "flag" and literal in ("true", "false"):
            return literal == "true"
        if rule.kind == "text" and kind in ("text", "number"):
            value = re.sub(r"\\(.)", r"\1", literal[1:-1]) if kind == "text" else literal
            if rule.choices and value not in rule.choices:
                raise invalid(f"'{value}' is not a valid choice for '{field}'.", parameter="filter")
            return value
        wanted = {"date": "datetime", "number": "number", "flag": "boolean", "text": "string"}[rule.kind]
        raise invalid(f"Invalid filter value for {field}: {literal} is not a {wanted}", parameter="filter")

    def _date(self, field: str, rule: Filter, literal: str) -> datetime:
        # In a query string that was not encoded, the plus of an offset arrives as a space.
        literal = re.sub(r" (\d\d:?\d\d)$", r"+\1", literal) if len(literal) > 19 else literal
        try:
            moment = parse_datetime(literal)
        except ValueError:
            raise invalid(
                f"Invalid filter value for {field}: {literal} is not a datetime", parameter="filter"
            ) from None
        if rule.past and moment > self.now - NEAR:
            shown = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
            raise invalid(f"End date may not be in the future: {shown}", pointer=field)
        return moment

    def _malformed(self) -> ApiError:
        return invalid(f"Invalid filter: {self.source}", parameter="filter")
