"""Values that Python computes, and what they belong to: no database has functions of Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Column, TableSpec, Type
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.spool import Spool, temporary_spool
from klaviyo_assets.warehouse.transaction import Transaction

PAIRS = TableSpec(name="pairs", columns=(Column("was", Type.TEXT), Column("becomes", Type.TEXT)), primary_key=("was",))


def spool_pairs(spool: Spool, pairs: Sequence[Sequence[str | None]]) -> None:
    """Write pairs of texts, the columns of `PAIRS`, to a spool."""
    if pairs:
        was, becomes = (list(values) for values in zip(*pairs, strict=True))
        spool.write(typed_batch(Columns(len(pairs), {"was": was, "becomes": becomes}), PAIRS))


@contextmanager
def computed(transaction: Transaction, texts: str, compute: Callable[[str], str | None]) -> Iterator[str]:
    """Give the relation of what a function makes of texts, where that is another one.

    texts: a query with one column of distinct texts, none of them NULL. In the relation, `was` is the MD5 of a text, so
    that what is to go leaves no trace, and `becomes` the result.
    """
    with temporary_spool() as spool:
        for rows in transaction.session.parts(
            f"SELECT {transaction.dialect.md5('text')}, text FROM ({texts}) AS texts"
        ):
            found = [(was, text, compute(text)) for was, text in rows]
            spool_pairs(spool, [(was, becomes) for was, text, becomes in found if becomes != text])
        yield transaction.session.spooled(spool, PAIRS.types)
