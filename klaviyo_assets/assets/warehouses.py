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
    kind = kind_of(settings.warehouse)
    if kind == "duckdb":
        from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

        return DuckDBWarehouse(database=settings.warehouse, **fields)
    fields |= {"address": settings.warehouse, "url_variable": settings.url_variable}
    try:
        if kind == "snowflake":
            import snowflake.connector  # noqa: F401  (needed later, when a run is on its way)

            from klaviyo_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse

            return SnowflakeWarehouse(**fields)
        if kind == "bigquery":
            import google.cloud.bigquery  # noqa: F401

            from klaviyo_assets.warehouse.bigquery.warehouse import BigQueryWarehouse

            return BigQueryWarehouse(**fields)
        if kind == "clickhouse":
            import clickhouse_connect  # noqa: F401

            from klaviyo_assets.warehouse.clickhouse.warehouse import ClickHouseWarehouse

            return ClickHouseWarehouse(**fields)
        import pgpq  # noqa: F401
        import psycopg  # noqa: F401

        from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
    except ImportError as error:
        places = {"snowflake": "at Snowflake", "bigquery": "at BigQuery", "clickhouse": "of a ClickHouse server"}
        where = places.get(kind, "of a Postgres server")
        raise SettingsError(
            f"The setting `warehouse` is the address {where}, and a library is missing ({error}): "
            f"pip install 'klaviyo-assets[{kind}]'"
        ) from error
    return PostgresWarehouse(**fields)
