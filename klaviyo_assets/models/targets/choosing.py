"""Where the models of a warehouse go: with what it connects itself."""

from __future__ import annotations

from typing import Any, cast

from klaviyo_assets.models.targets.target import Target
from klaviyo_assets.warehouse.location import Kind
from klaviyo_assets.warehouse.warehouse import Warehouse


def target_of(warehouse: Warehouse, kind: Kind, schema: str) -> Target:
    """Return where the models of a warehouse go, once it is there for others: who holds it is waited for.

    Raises WarehouseError if it can't be reached, or if dbt can't connect as the warehouse does.
    """
    with warehouse.session(writes=False) as opened:
        own, session = cast("Any", warehouse), cast("Any", opened)
        if kind == "postgres":
            from klaviyo_assets.models.targets import postgres

            return postgres.target(session.connection.info, schema)
        if kind == "snowflake":
            from klaviyo_assets.models.targets import snowflake
            from klaviyo_assets.warehouse.snowflake.connecting import parameters_of

            ((database,),) = session.sql("SELECT current_database()")
            return snowflake.target(parameters_of(own.address, own.url_variable), database, schema, place=own.address)
        if kind == "bigquery":
            from klaviyo_assets.models.targets import bigquery
            from klaviyo_assets.warehouse.bigquery.connecting import address_of, key_of

            address = address_of(own.address, own.url_variable)
            key = key_of(address, own.credentials_variable)
            return bigquery.target(address, schema, key=key, location=session.location, most_billed=address.most_billed)
        if kind == "clickhouse":
            from klaviyo_assets.models.targets import clickhouse
            from klaviyo_assets.warehouse.clickhouse.connecting import address_of as server_of

            return clickhouse.target(server_of(own.address, own.url_variable), schema)
        from klaviyo_assets.models.targets import duckdb

        return duckdb.target(own.database, schema, own.connection_config or {})
