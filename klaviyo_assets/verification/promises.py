"""What this project promises of every database, each tried in a schema of its own that is empty before.

The description of a promise is its function's docstring. What does not hold raises `Broken`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Column, Lookup, TableSpec, Type
from klaviyo_assets.verification.loading import TABLE, columns_of, load, stored
from klaviyo_assets.verification.process import DIED, Task, started
from klaviyo_assets.verification.watched import watched
from klaviyo_assets.warehouse.batches import typed_batch, typed_batches
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Coverage, Extract, Publication, Sweep
from klaviyo_assets.warehouse.results import AccountIdentity
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets.warehouse.warehouse import Warehouse

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)

VALUES: dict[str, Any] = {
    "text": 'say "hi"; DROP TABLE verified; --\n\t',
    "apostrophe": "it's \\ 100% {a} $1 ? :b",
    "letters": "Ærø, 漢字, 😀, \u202eright to left",
    "empty": "",
    "digits": "007",
    "whole": 2**53 + 1,
    "negative": -(2**63),
    "huge": 2**70,
    "tiny": 1e-7,
    "vast": 1e300,
    "tenth": 0.1,
    "no": False,
    "moment": "2026-01-02T03:04:05.123456Z",
    "zoned": "2026-01-02T03:04:05+02:00",
    "object": {"a": [1, None, {"b": "it's"}], "": 2.5},
    "list": [],
    "long": "x" * 100_000,
}
NAMES = ("select", "order_by", "1st", "x" * 200)
"""Ends of columns' names."""

METRIC = TableSpec(name="metric", columns=(Column("id", Type.TEXT), Column("note", Type.TEXT)), primary_key=("id",))


class Broken(Exception):
    """A promise does not hold."""


def expect(found: Any, wanted: Any, what: str = "") -> None:
    """Raise Broken unless two values are equal."""
    if found != wanted:
        raise Broken(f"{what}{': ' if what else ''}found {found!r}, not {wanted!r}")


# Rows


def rows_are_written_by_key(warehouse: Warehouse) -> None:
    """A row that comes again is written over, each key is there once, and the last copy of it counts."""
    first = load(warehouse, [{"id": "1", "note": "a", "x": 1}, {"id": "2", "note": "b", "x": 2}])
    expect((first.inserted, first.updated, first.row_count), (2, 0, 2))
    again = load(warehouse, [{"id": "2", "note": "B"}, {"id": "3", "note": "c"}], [{"id": "3", "note": "C"}])
    expect((again.inserted, again.updated, again.row_count), (1, 1, 3))
    expect(stored(warehouse, "note", "property_x"), {"1": ("a", 1), "2": ("B", None), "3": ("C", None)})
    expect(set(stored(warehouse, "_fivetran_deleted").values()), {False})


def older_versions_change_nothing(warehouse: Warehouse) -> None:
    """Of several versions of a row the newest stays, in whatever order they come."""
    spec = replace(TABLE, version="datetime")
    newest = {"id": "1", "note": "newest", "datetime": "2026-04-03T00:00:00Z"}
    older = {"id": "1", "note": "older", "datetime": "2026-04-02T00:00:00Z"}
    load(warehouse, [newest], [older], spec=spec)
    expect(load(warehouse, [older], spec=spec).older, 1)
    expect(stored(warehouse, "note"), {"1": "newest"})


def a_read_that_began_before_changes_nothing_newer(warehouse: Warehouse) -> None:
    """Of two reads at once, the one that began first neither replaces nor flags what the other has seen."""
    load(warehouse, [{"id": "changed", "note": "old"}])
    first, second = warehouse.begin().number, warehouse.begin().number
    load(warehouse, [{"id": "changed", "note": "new"}, {"id": "appeared"}], began=second)
    result = load(warehouse, [{"id": "changed", "note": "old"}], began=first, coverage=WHOLE_TABLE)
    expect((result.older, result.deleted), (1, 0))
    expect(stored(warehouse, "note", "_fivetran_deleted"), {"changed": ("new", False), "appeared": (None, False)})


def values_come_back(warehouse: Warehouse) -> None:
    """Every value of every type comes back as it was, under names in any letters and of any length."""
    load(warehouse, [{"id": "1", **VALUES}, {"id": "2"}])
    found = stored(warehouse, *(f"property_{name}" for name in VALUES))["1"]
    for (name, sent), back in zip(VALUES.items(), found, strict=True):
        expect(_as_sent(back, sent), sent, name)
    result = load(warehouse, [{"id": "3", **dict.fromkeys(NAMES, "x")}])
    expect(len(result.columns_added) + len(result.overflow), len(NAMES), "columns of strange names")
    expect(set(stored(warehouse, *result.columns_added)["3"]), {"x"}, "values of columns of strange names")


def _as_sent(back: Any, sent: Any) -> Any:
    """Return a stored value as it was sent: times are stored in UTC, and what has no type of its own as text."""
    if isinstance(back, dt.datetime) and isinstance(sent, str):
        return sent if back.replace(tzinfo=dt.UTC) == dt.datetime.fromisoformat(sent) else back
    if isinstance(back, str) and not isinstance(sent, str):
        return json.loads(back)
    return back


def columns_widen_without_loss(warehouse: Warehouse) -> None:
    """A column whose values no longer fit becomes wider, with all that it holds, several columns at once."""
    moment = "2026-01-02T03:04:05Z"
    load(warehouse, [{"id": "1", "n": 1, "big": 2**53 + 1, "t": moment, "o": {"a": 1}, "f": True}])
    load(warehouse, [{"id": "2", "n": 1.5, "big": 1.5, "t": "soon", "o": "text", "f": 0}])
    found = stored(warehouse, "property_n", "property_big", "property_t", "property_f")
    expect(found["1"], (1.0, "9007199254740993", "2026-01-02T03:04:05+00:00", "true"))
    expect(found["2"], (1.5, "1.5", "soon", "0"))
    nested = stored(warehouse, "property_o")
    expect((json.loads(nested["1"]), nested["2"]), ({"a": 1}, "text"))
    load(warehouse, [{"id": "3", "n": "three"}])
    expect(stored(warehouse, "property_n"), {"1": "1", "2": "1.5", "3": "three"})


def columns_of_others_stay(warehouse: Warehouse) -> None:
    """What somebody adds to a table keeps its values, also when the table is made anew for a wider column."""
    load(warehouse, [{"id": "1", "x": 1}])
    with warehouse.transaction() as transaction:
        transaction.add_columns(TABLE.name, {"owner": transaction.dialect.text})
    with warehouse.transaction() as transaction:
        transaction.update(TABLE.name, {"owner": "'anna'"}, "true")
    load(warehouse, [{"id": "2", "x": "text"}])
    expect(stored(warehouse, "owner", "property_x"), {"1": ("anna", "1"), "2": (None, "text")})


def what_has_no_room_is_kept(warehouse: Warehouse) -> None:
    """Values of more columns than a table may have are in one column of JSON."""
    small = _like(warehouse, max_dynamic_columns=1)
    load(small, [{"id": "1", "a": 1}])
    sent = {"b": 2**53 + 1, "c": 'say "hi"', "d": {"x": [None]}, "e": False}
    result = load(small, [{"id": "2", "a": 2, **sent}])
    expect(set(result.overflow), {f"property_{name}" for name in sent})
    rest = stored(warehouse, "property__overflow")
    held = json.loads(rest["2"])
    expect((rest["1"], held), (None, {f"property_{name}": value for name, value in sent.items()}))


def many_rows_at_once(warehouse: Warehouse) -> None:
    """Twice 150,000 rows, a third of them the same: each is there once."""
    size, total = 150_000, 200_000
    for shift in (0, 50_000):
        numbers = range(shift, shift + size)
        columns = Columns(
            size,
            {
                "id": [str(number) for number in numbers],
                "datetime": [f"2026-04-{number % 30 + 1:02}T00:00:00Z" for number in numbers],
                "note": [str(shift)] * size,
            },
            {"property_n": [str(number).encode() for number in numbers]},
        )
        with temporary_spool() as spool:
            spool.write_all(typed_batches([columns], TABLE))
            result = warehouse.load(Extract(TABLE), spool)
    expect((result.inserted, result.updated, result.row_count), (50_000, 100_000, total))
    with warehouse.reading() as reading:
        assert reading  # noqa: S101  (it was just written)
        counts = "count(*), count(DISTINCT id), sum(property_n), sum(CASE WHEN note = '0' THEN 1 ELSE 0 END)"
        (found,) = reading.sql(f"SELECT {counts} FROM {reading.table(TABLE.name)}")  # noqa: S608  (no value is in it)
    expect(tuple(int(value) for value in found), (total, total, total * (total - 1) // 2, 50_000))


# Deletes


def what_a_complete_read_lacks_is_flagged(warehouse: Warehouse) -> None:
    """Rows that a complete read of some days does not return are flagged, no others, and live again when they come."""
    load(warehouse, [{"id": str(day), "datetime": f"2026-05-0{day}T00:00:00Z"} for day in range(1, 6)])
    second, fourth = (dt.datetime(2026, 5, day, tzinfo=dt.UTC) for day in (2, 4))
    here = {"id": "2", "datetime": "2026-05-02T00:00:00Z"}
    expect(load(warehouse, [here], coverage=Coverage("datetime", second, fourth)).deleted, 1)
    expect(_flagged(warehouse), {"3"})
    load(warehouse, [{"id": "3", "datetime": "2026-05-03T00:00:00Z"}])
    expect(_flagged(warehouse), set())


def too_many_flags_wait(warehouse: Warehouse) -> None:
    """If more rows are gone than the guard allows, none is flagged."""
    load(warehouse, [{"id": str(number)} for number in range(20)])
    result = load(warehouse, [{"id": "1"}], coverage=WHOLE_TABLE, guard=0.5)
    expect((result.deleted, result.waiting and result.waiting.rows, _flagged(warehouse)), (0, 19, set()))


def snapshots_are_published(warehouse: Warehouse) -> None:
    """What a snapshot lacks is flagged when it is published, and names that others look up are corrected."""
    event = replace(TABLE, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))
    publication = Publication(METRIC, dependents=(event,))
    load(warehouse, [{"id": "e1", "note": "old name", "metric": "m1"}, {"id": "e2", "note": "other", "metric": "m2"}])
    _snapshot(warehouse, [{"id": "m1", "note": "old name"}, {"id": "m2", "note": "other"}])
    expect(warehouse.publish(publication, guard=0.5).inserted, 2)
    _snapshot(warehouse, [{"id": "m1", "note": "new name"}])
    result = warehouse.publish(publication, guard=0.5)
    expect((result.updated, result.deleted, result.corrected), (1, 1, 1))
    expect(stored(warehouse, "note"), {"e1": "new name", "e2": "other"})
    expect(_flagged(warehouse, METRIC), {"m2"})


def a_sweep_flags_what_is_gone(warehouse: Warehouse) -> None:
    """Of rows that a list of all keys lacks, those are flagged that are gone indeed, and that were there before it."""
    old = "2026-04-01T00:00:00Z"
    rows = [{"id": id, "datetime": old} for id in ("seen", "gone", "alive")]
    load(warehouse, [*rows, {"id": "young", "datetime": NOON.isoformat()}])
    number = warehouse.begin().number
    with temporary_spool() as keys:
        keys.write_all(typed_batches([columns_of([{"id": "seen"}])], TABLE))
        sweep = Sweep(TABLE, keys, number, "datetime", NOON, lambda ids: {"alive"} & set(ids))
        expect(warehouse.sweep(sweep, guard=1.0).deleted, 1)
    expect(_flagged(warehouse), {"gone"})


def a_patch_fills_columns_only(warehouse: Warehouse) -> None:
    """What completes rows adds none, and touches none that is right."""
    load(warehouse, [{"id": "1", "note": "old", "x": 1}, {"id": "2", "note": "new", "x": 2}])
    values = {"1": "new", "2": "new", "3": "new"}
    with temporary_spool() as spool:
        spool.write(typed_batch(Columns(len(values), {"id": [*values], "note": [*values.values()]}), TABLE))
        expect(warehouse.patch(Extract(TABLE, patch=True), spool).updated, 1)
    expect(stored(warehouse, "note", "property_x"), {"1": ("new", 1), "2": ("new", 2)})


# All or nothing


def a_load_that_fails_leaves_nothing(warehouse: Warehouse) -> None:
    """A row without a key undoes its load: no row, no flag and no watermark of it is there."""
    load(warehouse, [{"id": "1", "note": "a"}], states=[SyncState(TABLE.name, synced_through=NOON)])
    try:
        load(
            warehouse,
            [{"id": "1", "note": "b", "y": 1}, {"note": "without a key"}],
            states=[SyncState(TABLE.name, synced_through=NOON + DAY)],
        )
    except WarehouseError:
        pass
    else:
        raise Broken("A row without a key was loaded.")
    expect(_seen(warehouse), ({"1": ("a", False)}, NOON))


class Interrupted(Exception):
    """A load was interrupted on purpose."""


def an_interrupted_load_is_whole_or_not_there(warehouse: Warehouse) -> None:
    """A load that ends at any of seven steps leaves what was there, or all of it; its repetition is complete."""
    first = [{"id": "1", "note": "a", "x": 1}, {"id": "2", "note": "b", "x": 2}]
    before = ({"1": ("a", False), "2": ("b", False)}, NOON)
    after = ({"1": ("A", False), "2": ("b", True), "3": ("C", False)}, NOON + DAY)

    def again(target: Warehouse, spec: TableSpec) -> None:
        load(
            target,
            [{"id": "1", "note": "A", "x": "text"}, {"id": "3", "note": "C", "y": 1}],
            spec=spec,
            coverage=WHOLE_TABLE,
            states=[SyncState(spec.name, synced_through=NOON + DAY)],
        )

    steps: list[str] = []
    other = replace(TABLE, name="counted")
    for spec in (other, TABLE):
        load(warehouse, first, spec=spec, states=[SyncState(spec.name, synced_through=NOON)])
    again(watched(warehouse, steps.append), other)
    last = len(steps) - 1 - steps[::-1].index("commit")
    atomic = _has_transactions(warehouse)
    for number in sorted({last * part // 6 for part in range(1, 7)} | {last - 1}):
        left = iter(range(number))

        def interrupt(step: str, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Interrupted(step)

        try:
            again(watched(warehouse, interrupt), TABLE)
        except Interrupted as step:
            found = _seen(warehouse)
            whole = found in (before, after) if atomic else found == after or found[1] == before[1]
            if not whole:
                raise Broken(f"at step {number} ({step}): {found!r}") from None
            if found == after:
                break
        else:
            break
    again(warehouse, TABLE)
    expect(_seen(warehouse), after)
    expect(stored(warehouse, "property_x", "property_y"), {"1": ("text", None), "2": ("2", None), "3": (None, 1)})


def a_killed_process_leaves_nothing(warehouse: Warehouse) -> None:
    """A process that dies before its commit leaves nothing, and others can write again by themselves."""
    load(warehouse, [{"id": "1", "note": "a"}], states=[SyncState(TABLE.name, synced_through=NOON)])
    process = started(warehouse, Task(1, 3, dies=True))
    _, problem = process.communicate()
    if process.returncode != DIED:
        raise Broken(f"The other process should have died: {problem[-2000:]}")
    if _has_transactions(warehouse):
        expect(_seen(warehouse), ({"1": ("a", False)}, NOON))
    load(warehouse, [{"id": "3", "note": "c"}], coverage=WHOLE_TABLE)
    found = stored(warehouse, "note", "_fivetran_deleted")
    expect({id for id, (_, gone) in found.items() if not gone}, {"3"})
    expect(_found(warehouse)[1:], (0, 0))


def writers_wait_for_each_other(warehouse: Warehouse) -> None:
    """What three processes load at once is all there, each key once."""
    processes = [started(warehouse, Task(first, first + 20, loads=2)) for first in (0, 10, 20)]
    for process in processes:
        _, problem = process.communicate()
        if process.returncode:
            raise Broken(f"A process that waited for others failed: {problem[-2000:]}")
    expect(set(stored(warehouse, "note")), {str(id) for id in range(40)})
    expect(_found(warehouse), (40, 0, 0))


# What is known of the tables


def states_are_kept(warehouse: Warehouse) -> None:
    """The watermark moves forward only, and another account is refused."""
    ours = AccountIdentity("abc123", "Ours")
    warehouse.begin(account=ours)
    load(warehouse, [{"id": "1"}], states=[SyncState(TABLE.name, synced_through=NOON)])
    load(warehouse, [{"id": "2"}], states=[SyncState(TABLE.name, synced_through=NOON - DAY)])
    state = warehouse.state(TABLE.name)
    expect(state and state.synced_through, NOON)
    try:
        warehouse.begin(account=AccountIdentity("def456", "Another"))
    except WarehouseError:
        pass
    else:
        raise Broken("The rows of another account would have been mixed with those that are there.")
    expect(warehouse.account(), ours)


def tables_are_read(warehouse: Warehouse) -> None:
    """Counts by day, the earliest row and rows of a range are as they were loaded, deleted rows aside."""
    days = [dt.datetime(2026, 5, day, tzinfo=dt.UTC) for day in (1, 2, 3)]
    load(warehouse, [{"id": str(day.day), "note": "m", "datetime": day.isoformat()} for day in days])
    load(warehouse, coverage=Coverage("datetime", days[0], days[1]))
    counts = warehouse.daily_counts(TABLE.name, "note", "datetime", days[0], days[-1] + DAY)
    expect(counts, {("m", dt.date(2026, 5, 2)): 1, ("m", dt.date(2026, 5, 3)): 1})
    expect(warehouse.earliest(TABLE.name, "datetime"), days[1])
    expect(warehouse.read(TABLE.name, column="datetime", windows=[(days[1], days[2])])["id"].to_pylist(), ["2"])
    expect(sorted(warehouse.survey([TABLE]).tables), [TABLE.name])


PROMISES: tuple[Callable[[Warehouse], None], ...] = (
    many_rows_at_once,
    an_interrupted_load_is_whole_or_not_there,
    a_killed_process_leaves_nothing,
    rows_are_written_by_key,
    values_come_back,
    columns_widen_without_loss,
    snapshots_are_published,
    what_a_complete_read_lacks_is_flagged,
    too_many_flags_wait,
    a_sweep_flags_what_is_gone,
    a_patch_fills_columns_only,
    a_load_that_fails_leaves_nothing,
    writers_wait_for_each_other,
    older_versions_change_nothing,
    a_read_that_began_before_changes_nothing_newer,
    columns_of_others_stay,
    what_has_no_room_is_kept,
    states_are_kept,
    tables_are_read,
)
"""Those first that take longest."""


def _like(warehouse: Warehouse, **fields: Any) -> Warehouse:
    given = {name: getattr(warehouse, name) for name in type(warehouse).model_fields}
    return type(warehouse)(**{**given, **fields})


def _has_transactions(warehouse: Warehouse) -> bool:
    with warehouse.reading() as reading:
        return bool(reading and reading.dialect.capabilities.transactions)


def _found(warehouse: Warehouse) -> tuple[int, int, int]:
    """Return the number of rows, of keys that several have, and of rows without one."""
    (found,) = warehouse.inspect([(TABLE, ())], now=NOON).values()
    return found.rows, found.duplicates, found.without_key


def _flagged(warehouse: Warehouse, spec: TableSpec = TABLE) -> set[str]:
    return {id for id, gone in stored(warehouse, "_fivetran_deleted", spec=spec).items() if gone}


def _seen(warehouse: Warehouse) -> tuple[dict[str, Any], dt.datetime | None]:
    state = warehouse.state(TABLE.name)
    return stored(warehouse, "note", "_fivetran_deleted"), state.synced_through if state else None


def _snapshot(warehouse: Warehouse, rows: list[dict[str, Any]]) -> None:
    with temporary_spool() as spool:
        spool.write_all(typed_batches([columns_of(rows, METRIC)], METRIC))
        state = SyncState(METRIC.name, "snapshot", synced_through=NOON, complete=True)
        warehouse.store_snapshot(Extract(METRIC, snapshot=True, states=(state,)), spool)
