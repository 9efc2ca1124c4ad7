"""Compares the models, in SQL that every database understands, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.models.comparison.matching import MATCHINGS
from klaviyo_assets.models.comparison.reasons import REASONS, Reason
from klaviyo_assets.models.comparison.tables import NUMBER, ROWS, key_name, keyed, kind_of, relation
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import quote

THEIRS, OURS = "theirs", "ours"
_FIVE_DAYS = str(120 * 3600 * 1_000_000)
_TABLE = re.compile(r"\{(transaction|order|customer|event)\}")


class NotComparable(Exception):
    """What has a model's name has not its key; the message says what is where."""


@dataclass(frozen=True)
class Example:
    """A row that differs. theirs, ours: its values of the column. alone: it is on one side alone, and has none."""

    key: Mapping[str, str]
    theirs: Any = None
    ours: Any = None
    alone: bool = False


@dataclass(frozen=True)
class Difference:
    """What differs in a column, or which rows are on one side alone. explained: reason -> rows."""

    rows: int
    explained: Mapping[str, int]
    examples: Sequence[Example]

    @property
    def unexpected(self) -> int:
        """The rows that no reason explains."""
        return self.rows - sum(self.explained.values())


@dataclass(frozen=True)
class Comparison:
    """A model of both sides.

    rows: side -> its rows, None if it has no such model. columns_only: side -> columns that it has alone. doubled: side
    -> rows that have the key of another one, in a model that has each key once. rows_only: side -> the rows (or keys,
    where rows of one key are added up) that it has alone. columns: those of both sides that differ.
    """

    model: str
    rows: Mapping[str, int | None]
    columns_only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    doubled: Mapping[str, int] = field(default_factory=dict)
    rows_only: Mapping[str, Difference] = field(default_factory=dict)
    columns: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def is_as_expected(self) -> bool:
        """Whether all that differs is explained; columns that only ours has take nothing away."""
        if self.rows[THEIRS] is None:
            return True
        return not (
            self.rows[OURS] is None
            or self.columns_only.get(THEIRS)
            or self.doubled.get(OURS)
            or any(difference.unexpected for difference in (*self.rows_only.values(), *self.columns.values()))
        )


@dataclass(frozen=True)
class Sides:
    """Where everything is. Each has names as they are quoted in statements.

    theirs, ours: model -> relation, of those that exist. tables: name -> relation, of the tables that reasons ask.
    sessions: whether credit is given by sessions.
    """

    theirs: Mapping[str, str]
    ours: Mapping[str, str]
    tables: Mapping[str, str]
    sessions: bool = False


def compare(session: Session, sides: Sides, *, examples: int) -> Iterator[Comparison]:
    """Compare the models that there are, one after the other, in the order in which they are made.

    examples: rows to show of each difference. Raises NotComparable.
    """
    met: set[str] = set()
    possible = [
        reason
        for reason in REASONS
        if (sides.sessions or not reason.sessions) and _holds(session, reason.where, sides.tables)
    ]
    for model in MATCHINGS:
        if model not in sides.theirs and model not in sides.ours:
            continue
        if model not in sides.theirs or model not in sides.ours:
            present = ((THEIRS, sides.theirs), (OURS, sides.ours))
            yield Comparison(
                model,
                {side: _count(session, models[model]) if model in models else None for side, models in present},
            )
            continue
        reasons = [reason for reason in possible if not reason.after or reason.after in met]
        found = _Pair(session, sides, model, reasons, examples).compared()
        for difference in (*found.rows_only.values(), *found.columns.values()):
            met.update(difference.explained)
        yield found


class _Pair:
    """A model of both sides, and the statements about it."""

    def __init__(self, session: Session, sides: Sides, model: str, reasons: Sequence[Reason], examples: int) -> None:
        self.session, self.sides, self.model, self.examples = session, sides, model, examples
        self.matching = MATCHINGS[model]
        self.theirs, self.ours = (relation(session, side[model]) for side in (sides.theirs, sides.ours))
        self.key = self._key()
        self.shared = [column for column in self.ours.columns if column in self.theirs.columns]
        self.reasons = {
            column: [
                reason
                for reason in reasons
                if reason.explains(model, column, is_number=self._is_number(column)) and self._can_be_asked(reason)
            ]
            for column in self.shared
        }
        self.of_rows = {
            side: [reason for reason in reasons if reason.explains_rows(model, side) and self._can_be_asked(reason)]
            for side in (THEIRS, OURS)
        }

    def compared(self) -> Comparison:
        verdicts = {
            **{f"only_{side}": self._verdict_of_row(side) for side in (THEIRS, OURS)},
            **{column: self._verdict(column) for column in self.shared},
        }
        lists = [self.of_rows[THEIRS], self.of_rows[OURS], *self.reasons.values()]
        counted = [
            f"sum(CASE WHEN _v{number} = {code} THEN 1 ELSE 0 END)"
            for number, reasons in enumerate(lists)
            for code in (-1, *range(len(reasons)))
        ]
        beyond = [f"sum(coalesce({side}_rows, 0))" for side in ("t", "o")]
        named = ", ".join(f"{verdict} AS _v{number}" for number, verdict in enumerate(verdicts.values()))
        rows_of = f"t.{ROWS} AS t_rows, o.{ROWS} AS o_rows"
        ((keys_t, keys_o, rows_t, rows_o, *sums),) = self.session.sql(
            f"{self._with()}, pairs AS (SELECT {rows_of}, {named} FROM {self._joined()}) "
            f"SELECT count(t_rows), count(o_rows), {', '.join([*beyond, *counted])} FROM pairs"
        )
        numbers = iter(int(each or 0) for each in sums)
        differences = {}
        for name, reasons in zip(verdicts, lists, strict=True):
            unexpected = next(numbers)
            by_reason: dict[str, int] = {}
            for reason, rows in zip(reasons, numbers, strict=False):
                if rows:
                    by_reason[reason.text] = by_reason.get(reason.text, 0) + rows
            differences[name] = (unexpected + sum(by_reason.values()), by_reason)
        found = {
            name: Difference(rows, explained, self._examples(name, verdicts[name]))
            for name, (rows, explained) in differences.items()
            if rows
        }
        doubled = {THEIRS: int(rows_t or 0) - keys_t, OURS: int(rows_o or 0) - keys_o}
        return Comparison(
            self.model,
            {THEIRS: int(rows_t or 0), OURS: int(rows_o or 0)},
            columns_only={
                THEIRS: [column for column in self.theirs.columns if column not in self.ours.columns],
                OURS: [column for column in self.ours.columns if column not in self.theirs.columns],
            },
            doubled={} if self.matching.adds_up else {side: rows for side, rows in doubled.items() if rows},
            rows_only={side: found[f"only_{side}"] for side in (THEIRS, OURS) if f"only_{side}" in found},
            columns={column: found[column] for column in self.shared if column in found},
        )

    # What is asked

    def _key(self) -> tuple[str, ...]:
        """Return the columns of the key: with the account, if there are several."""
        source = self.matching.source
        for side in (self.theirs, self.ours):
            if missing := [column for column in self.matching.key if column not in side.columns]:
                raise NotComparable(f"{side.name} is no {self.model}: it has no column {', '.join(missing)}.")
        if source in self.theirs.columns and source in self.ours.columns:
            for side in (self.theirs, self.ours):
                ((accounts,),) = self.session.sql(
                    f"SELECT count(DISTINCT {quote(side.columns[source][0])}) FROM {side.name}"
                )
                if accounts > 1:
                    return (*self.matching.key, source)
        return self.matching.key

    def _is_number(self, column: str) -> bool:
        return kind_of(column, self.theirs, self.ours) == NUMBER

    def _can_be_asked(self, reason: Reason) -> bool:
        """Whether the columns and tables are there of which a condition speaks."""
        condition = reason.condition.replace("{source}", self.matching.source)
        columns = {"t": self.theirs.columns, "o": self.ours.columns}
        named = re.findall(r"\b([to])\.(\w+)", condition)
        return all(name == ROWS or name in columns[side] for side, name in named) and all(
            table in self.sides.tables for table in _TABLE.findall(condition)
        )

    def _condition(self, reason: Reason, column: str = "") -> str:
        return reason.condition.format(
            t=f"t.{quote(column)}",
            o=f"o.{quote(column)}",
            source=self.matching.source,
            late=f"{self.session.dialect.later('t.last_touch_event_occurred_at', _FIVE_DAYS)} < t.created_timestamp",
            **self.sides.tables,
        )

    def _verdict(self, column: str) -> str:
        """Return the expression of why a column differs in a row: the number of a reason, or -1; NULL if not."""
        same = f"t.{quote(column)} IS NOT DISTINCT FROM o.{quote(column)}"
        return self._first(
            f"t.{ROWS} IS NULL OR o.{ROWS} IS NULL OR {same}",
            [self._condition(reason, column) for reason in self.reasons[column]],
        )

    def _verdict_of_row(self, side: str) -> str:
        """Return the same of why a row is on one side alone."""
        own, other = ("t", "o") if side == THEIRS else ("o", "t")
        return self._first(
            f"{own}.{ROWS} IS NULL OR {other}.{ROWS} IS NOT NULL",
            [self._condition(reason) for reason in self.of_rows[side]],
        )

    def _first(self, none: str, conditions: Sequence[str]) -> str:
        cases = "".join(f" WHEN {condition} THEN {number}" for number, condition in enumerate(conditions))
        return f"CASE WHEN {none} THEN NULL{cases} ELSE -1 END"

    def _with(self) -> str:
        t = keyed(self.theirs, self.ours, self.matching, self.key)
        o = keyed(self.ours, self.theirs, self.matching, self.key)
        return f"WITH t AS ({t}), o AS ({o})"

    def _joined(self) -> str:
        return "t FULL JOIN o ON " + " AND ".join(
            f"t.{key_name(number)} = o.{key_name(number)}" for number in range(len(self.key))
        )

    def _examples(self, name: str, verdict: str) -> list[Example]:
        """Return some rows that differ, those that nothing explains first."""
        names = [key_name(number) for number in range(len(self.key))]
        chosen = [f"coalesce(t.{key}, o.{key}) AS {key}" for key in names]
        values = [f"t.{quote(name)}", f"o.{quote(name)}"] if name in self.shared else ["NULL", "NULL"]
        chosen += [f"{value} AS {side}" for value, side in zip(values, (THEIRS, OURS), strict=True)]
        rows = self.session.sql(
            f"{self._with()}, pairs AS (SELECT {', '.join(chosen)}, {verdict} AS verdict FROM {self._joined()}) "
            f"SELECT {', '.join(names)}, {THEIRS}, {OURS} FROM pairs WHERE verdict IS NOT NULL "
            f"ORDER BY CASE WHEN verdict = -1 THEN 0 ELSE 1 END, {', '.join(names)} LIMIT {self.examples:d}"
        )
        alone = name not in self.shared
        return [Example(dict(zip(self.key, key, strict=True)), theirs, ours, alone) for *key, theirs, ours in rows]


def _holds(session: Session, where: str, tables: Mapping[str, str]) -> bool:
    """Return whether a condition on tables holds; it does not if there is no such table."""
    if not where:
        return True
    if not all(table in tables for table in _TABLE.findall(where)):
        return False
    return bool(session.sql(f"SELECT 1 FROM (SELECT 1 AS one) AS ones WHERE {where.format(**tables)}"))


def _count(session: Session, name: str) -> int:
    ((rows,),) = session.sql(f"SELECT count(*) FROM {name}")
    return int(rows)
