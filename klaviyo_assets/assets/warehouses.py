"""Makes the warehouse that the settings name: the only place that knows which databases there are."""

from __future__ import annotations

from typing import Any

from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.warehouse.location import kind_of
from klaviyo_assets.warehouse.warehouse import Warehouse


def warehouse_of(settings: Settings, **options: Any) -> Warehouse:
    """Return the warehouse of an account. options: fields of it that are no settings, such as `lock_timeout`.

    Raises SettingsError if what its database needs is not installed.
    """
    fields = {"schema_name": settings.schema_name, **options}
    if settings.max_dynamic_columns is not None:
        fields["max_dynamic_columns"] = settings.max_dynamic_columns
    if kind_of(settings.warehouse) == "duckdb":
        from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

        return DuckDBWarehouse(database=settings.warehouse, **fields)
    try:
        import pgpq  # noqa: F401  (needed by what is imported later, when a run is on its way)
        import psycopg  # noqa: F401

        from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
    except ImportError as error:
        raise SettingsError(
            f"The setting `warehouse` is the address of a Postgres server, and a library is missing ({error}): "
            "pip install 'klaviyo-assets[postgres]'"
        ) from error
    return PostgresWarehouse(address=settings.warehouse, url_variable=settings.url_variable, **fields)
