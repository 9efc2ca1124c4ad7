"""Shopify tables that fit a synced simulated account: what Shopify's own connector would have brought."""

from __future__ import annotations

from klaviyo_assets.warehouse.session import Session

_TABLES = {
    "customer": """
        SELECT 'gid-' || id AS id, lower(email) AS email, first_name, last_name, phone_number AS phone,
            'enabled' AS state, true AS accepts_marketing, false AS tax_exempt, true AS verified_email,
            created AS created_at, updated AS updated_at, false AS _fivetran_deleted
        FROM {person} WHERE email IS NOT NULL AND id IN (SELECT person_id FROM placed)""",
    "order": """
        SELECT 'order-' || id AS id, 'gid-' || person_id AS customer_id, email, placed_at AS created_at,
            placed_at AS updated_at, placed_at AS processed_at, '#' || number AS name, number AS order_number,
            'USD' AS currency, 'paid' AS financial_status, 'fulfilled' AS fulfillment_status, 'web' AS source_name,
            value AS total_price, {most} AS subtotal_price, {rest} AS total_tax,
            0.0 AS total_discounts, {most} AS total_line_items_price, false AS test,
            false AS _fivetran_deleted
        FROM placed""",
    "order_line": """
        SELECT 'line-' || id AS id, 'order-' || id AS order_id, 'tea-' || number % 40 AS product_id,
            'tea-' || number % 40 || '-' || number % 3 AS variant_id, 1 + number % 3 AS quantity,
            {most} AS price
        FROM placed""",
    "order_line_refund": """
        SELECT 'refund-' || id AS id, 'line-' || id AS order_line_id, 1 AS quantity,
            {most} AS subtotal, {rest} AS total_tax
        FROM placed WHERE number % 25 = 0""",
    "order_shipping_line": """
        SELECT 'shipping-' || id AS id, 'order-' || id AS order_id, 4.9 AS price FROM placed WHERE value < 50""",
}


def write_shopify(session: Session, klaviyo: str, shopify: str) -> None:
    """Make the Shopify tables that belong to the orders of a synced account, in a schema of their own.

    klaviyo, shopify: names of the schemas. Each Placed Order event with a value is an order.
    """
    event, person = session.name(klaviyo, "event"), session.name(klaviyo, "person")
    placed = f"""
        SELECT event.id, event.person_id, lower(person.email) AS email, event.timestamp AS placed_at,
            event.property_value AS value, 1000 + row_number() OVER (ORDER BY event.timestamp, event.id) AS number
        FROM {event} AS event JOIN {person} AS person ON person.id = event.person_id
        WHERE event.type = 'Placed Order' AND event.property_value IS NOT NULL AND person.email IS NOT NULL
            AND NOT event._fivetran_deleted"""
    session.create_schema(shopify)
    for table, select in _TABLES.items():
        target = session.name(shopify, table)
        statement = select.format(person=person, most=_share(0.9), rest=_share(0.1))
        session.sql(f"DROP TABLE IF EXISTS {target} CASCADE")
        session.sql(f"CREATE TABLE {target} AS WITH placed AS ({placed}) {statement}")


def _share(of_value: float) -> str:
    """Return the expression of a share of an order's value, in whole cents."""
    return f"CAST(round(CAST(value * {of_value} AS DECIMAL(30, 10)), 2) AS FLOAT8)"
