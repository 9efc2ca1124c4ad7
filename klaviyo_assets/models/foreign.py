"""What else is where the models go: dbt would drop it without a word."""

from __future__ import annotations

from collections.abc import Iterable

from klaviyo_assets.models.project import Model, staging_names
from klaviyo_assets.warehouse.session import Session


def in_the_way(session: Session, schema: str, models: Iterable[Model]) -> list[str]:
    """Return the tables and views, with the schema, that have a model's name and are none.

    A model of an earlier version has most of the columns that it has now; what is no table, or lacks more than half of
    them, is somebody else's. Views of staging/ stay where a build was killed.
    """
    fold = session.dialect.fold
    tables, views = session.tables(fold(schema)), session.views(fold(schema))
    found = [model.name for model in models if fold(model.name) in views]
    for model in models:
        if fold(model.name) in tables:
            there = session.columns(fold(schema), fold(model.name)).keys()
            known = [column for column in model.columns if fold(column) in there]
            found += [model.name] if 2 * len(known) < len(model.columns) else []
    found += [name for name in staging_names() if fold(name) in tables]
    return [f"{schema}.{name}" for name in sorted(found)]
