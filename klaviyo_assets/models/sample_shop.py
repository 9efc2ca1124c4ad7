"""Shopify tables that fit a synced simulated account: what Shopify's own connector would have brought."""

from __future__ import annotations

import duckdb

from klaviyo_assets.warehouse.sql import quote

_TABLES = {
    "customer": """
        SELECT 'gid-' || id AS id, lower(email) AS email, first_name, last_name, phone_number AS phone,
            'enabled' AS state, true AS accepts_marketing, false AS tax_exempt, true AS verified_email,
            created AS created_at, updated AS updated_at, false AS _fivetran_deleted
        FROM {klaviyo}.person WHERE email IS NOT NULL AND id IN (SELECT person_id FROM placed)""",
    "order": """
        SELECT 'order-' || id AS id, 'gid-' || person_id AS customer_id, email, placed_at AS created_at,
            placed_at AS updated_at, placed_at AS processed_at, '#' || number AS name, number AS order_number,
            'USD' AS currency, 'paid' AS financial_status, 'fulfilled' AS fulfillment_status, 'web' AS source_name,
            value AS total_price, round(value * 0.9, 2) AS subtotal_price, round(value * 0.1, 2) AS total_tax,
            0.0 AS total_discounts, round(value * 0.9, 2) AS total_line_items_price, false AS test,
            false AS _fivetran_deleted
        FROM placed""",
    "order_line": """
        SELECT 'line-' || id AS id, 'order-' || id AS order_id, 'tea-' || number % 40 AS product_id,
            'tea-' || number % 40 || '-' || number % 3 AS variant_id, 1 + number % 3 AS quantity,
            round(value * 0.9, 2) AS price
        FROM placed""",
    "order_line_refund": """
        SELECT 'refund-' || id AS id, 'line-' || id AS order_line_id, 1 AS quantity,
            round(value * 0.9, 2) AS subtotal, round(value * 0.1, 2) AS total_tax
        FROM placed WHERE number % 25 = 0""",
    "order_shipping_line": """
        SELECT 'shipping-' || id AS id, 'order-' || id AS order_id, 4.9 AS price FROM placed WHERE value < 50""",
}


def write_shopify(connection: duckdb.DuckDBPyConnection, klaviyo: str, shopify: str) -> None:
    """Make the Shopify tables that belong to the orders of a synced account, in a schema of their own.

    klaviyo, shopify: names of the schemas. Each Placed Order event with a value is an order.
    """
    ((database,),) = connection.execute("SELECT current_database()").fetchall()
    source, target = quote(database, klaviyo), quote(database, shopify)
    placed = f"""
        SELECT event.id, event.person_id, lower(person.email) AS email, event.timestamp AS placed_at,
            event.property_value AS value, 1000 + row_number() OVER (ORDER BY event.timestamp, event.id) AS number
        FROM {source}.event AS event JOIN {source}.person AS person ON person.id = event.person_id
        WHERE event.type = 'Placed Order' AND event.property_value IS NOT NULL AND person.email IS NOT NULL
            AND NOT event._fivetran_deleted"""
    connection.execute(f"DROP SCHEMA IF EXISTS {target} CASCADE").fetchall()
    connection.execute(f"CREATE SCHEMA {target}").fetchall()
    for table, select in _TABLES.items():
        statement = select.format(klaviyo=source)
        connection.execute(f"CREATE TABLE {target}.{quote(table)} AS WITH placed AS ({placed}) {statement}").fetchall()
