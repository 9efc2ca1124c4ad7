"""Shopify tables that fit a synced simulated account: what Shopify's own connector would have brought."""

from __future__ import annotations

from klaviyo_assets.warehouse.session import Session

_TABLES = {
    "customer": """
        SELECT buyers.customer_id AS id, lower(person.email) AS email, person.first_name, person.last_name,
            person.phone_number AS phone, 'enabled' AS state, person.email IS NOT NULL AS accepts_marketing,
            false AS tax_exempt, person.email IS NOT NULL AS verified_email, 'USD' AS currency,
            person.created AS created_at, person.updated AS updated_at, false AS _fivetran_deleted
        FROM buyers JOIN {person} AS person ON person.id = buyers.person_id""",
    "order": """
        SELECT 5000000000 + number AS id, customer_id, email, placed_at AS created_at, placed_at AS updated_at,
            placed_at AS processed_at, '#' || (1000 + number) AS name, number, 1000 + number AS order_number,
            'USD' AS currency, 'paid' AS financial_status, 'fulfilled' AS fulfillment_status, 'web' AS source_name,
            value AS total_price, {most} AS subtotal_price, {rest} AS total_tax, 0.0 AS total_discounts,
            {most} AS total_line_items_price, is_test AS test,
            '{{"shop_money": {{"amount": "' || CASE WHEN value < 50 THEN '4.90' ELSE '0.00' END || '"}}}}'
                AS total_shipping_price_set,
            false AS _fivetran_deleted
        FROM placed""",
    "order_line": """
        SELECT 6000000000 + number AS id, 5000000000 + number AS order_id, 7000 + number % 40 AS product_id,
            70000 + number % 40 * 3 + number % 3 AS variant_id, 1 + number % 3 AS quantity, {most} AS price,
            0.0 AS total_discount
        FROM placed""",
    "tax_line": """
        SELECT 6000000000 + number AS order_line_id, 0 AS index, {rest} AS price FROM placed""",
    "order_shipping_line": """
        SELECT 6500000000 + number AS id, 5000000000 + number AS order_id, 4.9 AS price, 4.9 AS discounted_price
        FROM placed WHERE value < 50""",
    "refund": """
        SELECT 8000000000 + number AS id, 5000000000 + number AS order_id, placed_at AS created_at
        FROM placed WHERE {refunded}""",
    "order_line_refund": """
        SELECT 8500000000 + number AS id, 8000000000 + number AS refund_id, 6000000000 + number AS order_line_id,
            1 AS quantity, {most} AS subtotal, {rest} AS total_tax
        FROM placed WHERE {refunded}""",
    "transaction": """
        SELECT 9000000000 + number AS id, 5000000000 + number AS order_id, 'sale' AS kind, 'success' AS status,
            CASE WHEN number % 40 = 1 THEN 'gift_card' ELSE 'shopify_payments' END AS gateway, value AS amount,
            'USD' AS currency, placed_at AS created_at, is_test AS test
        FROM placed
        UNION ALL
        SELECT 9500000000 + number, 5000000000 + number, 'refund', 'success', 'shopify_payments', {most} + {rest},
            'USD', placed_at, is_test
        FROM placed WHERE {refunded}""",
}


def write_shopify(session: Session, klaviyo: str, shopify: str) -> None:
    """Make the Shopify tables that belong to the orders of a synced account, in a schema of their own.

    klaviyo, shopify: names of the schemas. Each Placed Order event with a value is an order; besides, the shop was
    tried now and then. Who has no e-mail address bought in a shop with a door.
    """
    event, person = session.name(klaviyo, "event"), session.name(klaviyo, "person")
    orders = f"""
        SELECT event.id, event.person_id, lower(person.email) AS email, event.timestamp AS placed_at,
            event.property_value AS value, row_number() OVER (ORDER BY event.timestamp, event.id) AS rank
        FROM {event} AS event JOIN {person} AS person ON person.id = event.person_id
        WHERE event.type = 'Placed Order' AND event.property_value IS NOT NULL AND NOT event._fivetran_deleted"""
    buyers = """
        SELECT person_id, 3000000000 + row_number() OVER (ORDER BY min(rank)) AS customer_id
        FROM orders GROUP BY person_id"""
    placed = """
        SELECT 2 * rank AS number, customer_id, email, placed_at, value, false AS is_test
        FROM orders JOIN buyers ON buyers.person_id = orders.person_id
        UNION ALL
        SELECT 2 * rank + 1, customer_id, email, placed_at, value, true
        FROM orders JOIN buyers ON buyers.person_id = orders.person_id WHERE rank % 50 = 0"""
    session.create_schema(shopify)
    for table, select in _TABLES.items():
        target = session.name(shopify, table)
        statement = select.format(person=person, most=_share(0.9), rest=_share(0.1), refunded="number % 25 = 0")
        session.sql(f"DROP TABLE IF EXISTS {target} CASCADE")
        session.sql(
            f"CREATE TABLE {target} AS "
            f"WITH orders AS ({orders}), buyers AS ({buyers}), placed AS ({placed}) {statement}"
        )


def _share(of_value: float) -> str:
    """Return the expression of a share of an order's value, in whole cents."""
    return f"CAST(round(CAST(value * {of_value} AS DECIMAL(30, 10)), 2) AS FLOAT8)"
