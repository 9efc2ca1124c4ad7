"""Telling the log of a run what could not be kept."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from klaviyo_assets.schema.lost import Lost
from klaviyo_assets.schema.spec import TableSpec


def warn_of_lost(
    context: dg.AssetExecutionContext, tables: Sequence[TableSpec], misshapen: Lost, *unfit: Lost
) -> dict[str, Any]:
    """Log what was lost of tables that come from the same answers, with a few ids; return metadata that counts it.

    misshapen: fields of the answers that are missing or have another shape than they should. unfit: for each table,
    values that their columns do not hold exactly. An id is a key, which no setting hides.
    """
    if misshapen:
        context.log.warning(
            f"Klaviyo's answers about {tables[0].name} lack fields, or have some of another shape than they should, "
            f"which count as empty: {misshapen}. Rows without any `attributes`, or that a page names and does not "
            "include, stay as they are."
        )
    for table, lost in zip(tables, unfit, strict=False):
        if lost:
            context.log.warning(
                f"Values of {table.name} that do not fit their column's type are NULL, or rounded: {lost}."
            )
    counts: dict[str, int] = dict(misshapen)
    for lost in unfit[:1]:
        counts.update(lost)
    return {"values_lost": counts} if counts else {}
