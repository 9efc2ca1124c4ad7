"""What a read yields, written to temporary spools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack

from klaviyo_assets.schema.columns import Batch
from klaviyo_assets.schema.lost import Lost, noting
from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.spool import Room, SpoolWriter, add_batch, close_all, temporary_spool

MOST_HELD = 64_000_000
"""Characters of rows that wait to be spooled, however few these are."""


def spools(specs: Sequence[TableSpec], limit: int | None, until: ExitStack) -> dict[str, SpoolWriter]:
    """Make a temporary spool for each spec; return spec name -> its writer.

    limit: bytes that they may take together. until: removes them when it is closed, by the same thread.
    Raises SpoolFull if so many are not free.
    """
    room = Room(limit)
    return {spec.name: SpoolWriter(spec, until.enter_context(temporary_spool(room))) for spec in specs}


def fill(writers: Mapping[str, SpoolWriter], batches: Iterable[Batch]) -> Lost:
    """Write what a read yields, and close the writers; what none of them is for is left out.

    Returns what had another shape than it should. Raises SpoolFull if it takes more room than there may be.
    """
    held = 0
    with noting() as lost:
        for batch in batches:
            add_batch(batch, writers)
            held += _characters(batch)
            if held >= MOST_HELD:
                close_all(writers)
                held = 0
    close_all(writers)
    return lost


def _characters(batch: Batch) -> int:
    """Return the length of all texts of a batch: templates may have 100 KB each."""
    values = (values for columns in batch.values() for values in columns.declared.values())
    return sum(len(value) for column in values for value in column if isinstance(value, str))
