"""An account small enough to count by hand: 3 people, 2 campaigns, 1 flow, 30 events, and 4 orders in a shop."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Type
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets.warehouse.warehouse import Warehouse

SYNCED = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)


def at(text: str) -> dt.datetime:
    """A time in 2026: `03-01 09:00`."""
    return dt.datetime.fromisoformat(f"2026-{text}")


def event(id: str, when: str, person: str | None, type: str, **more: Any) -> dict[str, Any]:
    moment = at(when).replace(tzinfo=dt.UTC)
    return {
        "id": id,
        "datetime": moment,
        "timestamp": moment,
        "person_id": person,
        "type": type,
        "metric_id": type.replace(" ", "_"),
        "uuid": f"uuid-{id}",
        **more,
    }


def credit(id: str) -> dict[str, Any]:
    """The attribution that Klaviyo gives today."""
    return {"property_attribution": {"relationships": {"attributed-event": {"data": {"type": "event", "id": id}}}}}


def old_credit(id: str) -> dict[str, Any]:
    """The attribution of Fivetran's older rows."""
    return {"property_attribution": {"$attributed_event_id": id, "$flow": "f1"}}


def worth(value: float) -> dict[str, Any]:
    return {"property_value": value}


_C1A = {"campaign_id": "c1", "_variation": "v1"}
_C1B = {"campaign_id": "c1", "_variation": "v2"}
_C2 = {"campaign_id": "c2", "_variation": "v3"}
_F1 = {"flow_id": "f1", "flow_message_id": "m1"}

EVENTS = [
    event("e01", "03-01 09:00", "p1", "Received Email", **_C1A),
    event("e02", "03-01 10:00", "p1", "Opened Email", **_C1A),
    event("e03", "03-01 10:05", "p1", "Clicked Email", **_C1A),
    event("e04", "03-01 10:10", "p1", "Active on Site"),
    event("e05", "03-01 10:20", "p1", "Viewed Product", **credit("e03")),
    event("e06", "03-01 10:30", "p1", "Ordered Product", **worth(40), **credit("e03")),
    event("e07", "03-01 10:30", "p1", "Ordered Product", **worth(60), **credit("e03")),
    event("e08", "03-01 10:31", "p1", "Placed Order", **worth(100), **credit("e03")),
    event("e09", "03-05 12:00", "p1", "Refunded Order", **worth(40)),
    event("e10", "03-20 08:00", "p1", "Placed Order", **worth(25.5)),
    event("e11", "03-21 09:00", "p1", "Received SMS", **_F1),
    event("e12", "03-21 09:30", "p1", "Clicked Text Message", **_F1),
    event("e13", "03-21 10:00", "p1", "Placed Order", **worth(70), **old_credit("e12")),
    event("e14", "03-01 09:00", "p2", "Received Email", **_C1B),
    event("e15", "03-01 15:00", "p2", "Opened Email", **_C1B),
    event("e16", "03-01 15:30", "p2", "Unsubscribed", **_C1B),
    event("e17", "03-02 08:00", "p2", "Checkout Started", **worth(80), **credit("e15")),
    event("e18", "03-02 08:05", "p2", "Placed Order", **worth(80), **credit("e15")),
    event("e19", "03-10 09:00", "p2", "Received Email", **_C2),
    event("e20", "03-10 09:05", "p2", "Opened Email", **_C2),
    event("e21", "03-10 09:06", "p2", "Opened Email", **_C2),
    event("e22", "03-10 10:00", "p2", "Active on Site"),
    event("e23", "03-10 11:00", "p2", "Cancelled Order", **worth(80)),
    event("e24", "03-11 09:00", "p2", "Received Text Message", **_F1),
    event("e25", "03-10 09:00", "p3", "Received Email", **_C2),
    event("e26", "03-10 12:00", "p3", "Marked Email as Spam", **_C2),
    event("e27", "03-12 09:00", "p3", "Sent Text Message", **_F1),
    event("e28", "03-12 10:00", "p3", "Unsubscribed from Text Messaging Marketing"),
    event("e29", "03-13 09:00", None, "Active on Site"),
    event("e30", "03-14 09:00", "p3", "Placed Order", **worth(10), **credit("e99")),
]

PEOPLE = [
    {"id": "p1", "email": "Ada@Acme.example", "first_name": "Ada", "last_name": "Low", "city": "York"},
    {"id": "p2", "email": "bob@acme.example", "first_name": "Bob"},
    {"id": "p3", "phone_number": "+15550100"},
]
CAMPAIGNS = [
    {"id": "c1", "name": "Spring", "status": "Sent", "subject": "Hello", "campaign_type": "email"},
    {"id": "c2", "name": "Summer", "status": "Sent"},
]
FLOWS = [{"id": "f1", "name": "Welcome", "status": "live", "trigger_type": "Added to List"}]
METRICS = [
    {"id": "Placed_Order", "name": "Placed Order", "integration_id": "s", "integration_name": "Shopify"},
    {"id": "Opened_Email", "name": "Opened Email", "integration_id": "k", "integration_name": "Klaviyo"},
]


def put(
    warehouse: Warehouse,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    began: dt.datetime = SYNCED,
    settings: Settings | None = None,
    states: Sequence[SyncState] = (),
) -> None:
    """Load rows as a sync does."""
    declared = table(name).types
    spec = settings.table(table(name)) if settings else table(name)
    columns = {column: [row.get(column) for row in rows] for column in declared}
    names = dict.fromkeys(column for row in rows for column in row if column not in declared)
    dynamic = {
        column: [json.dumps(row[column]).encode() if column in row else None for row in rows] for column in names
    }
    content = Columns(len(rows), columns, dynamic)
    if spec.policy:
        content = spec.policy.apply(content)
    with temporary_spool() as spool:
        spool.write_all(typed_batches([content], spec))
        if isinstance(warehouse, DuckDBWarehouse):
            warehouse._clock = lambda: began
        warehouse.load(Extract(spec, states=tuple(states)), spool)


def put_account(warehouse: Warehouse) -> None:
    put(warehouse, "event", EVENTS)
    put(warehouse, "person", PEOPLE)
    put(warehouse, "campaign", CAMPAIGNS)
    put(warehouse, "flow", FLOWS)
    put(warehouse, "metric", METRICS)
    put(warehouse, "list_person", [{"list_id": "l1", "person_id": "p1"}])  # from before memberships were turned off


def put_shop(warehouse: Warehouse) -> None:
    """Orders of Ada, who made two accounts: after a click, in the last second after a text message, a second later; of
    a stranger, of somebody without an address, and of Bob, without an account. One was deleted, one tried the shop.
    """
    with warehouse.session(writes=True) as session:
        session.create_schema("shop")
        for name, (types, _) in SHOP.items():
            natives = {column: session.dialect.type_names[kind] for column, kind in types.items()}
            session.create("shop", name, natives, key=[next(iter(types))])
        for name, (types, rows) in SHOP.items():
            session.insert(session.name("shop", name), list(types), rows)
        session.commit()


_ADA = "ada@acme.example"
_SHIPPING = json.dumps({"shop_money": {"amount": "3.50"}, "presentment_money": {"amount": "4.10"}})
_RECEIPT = json.dumps({"charges": {"data": [{"balance_transaction": {"exchange_rate": 1.5}}, {}]}})
_ID, _TEXT, _NUMBER, _IS, _TIME = Type.BIGINT, Type.TEXT, Type.DOUBLE, Type.BOOLEAN, Type.TIMESTAMP

SHOP: dict[str, tuple[dict[str, Type], list[tuple[Any, ...]]]] = {
    "order": (
        {
            "id": _ID, "customer_id": _ID, "email": _TEXT, "created_at": _TIME, "total_price": _NUMBER,
            "_fivetran_deleted": _IS, "test": _IS, "number": _ID, "cancelled_at": _TIME,
            "total_shipping_price_set": _TEXT,
        },
        [
            (1, 11, "ada@acme.example", at("03-01 11:00"), 100.0, False, None, 1, None, None),
            (2, 11, "ADA@acme.example", at("03-22 09:30"), 30.0, False, False, 2, None, _SHIPPING),
            (3, 11, "ada@acme.example", at("03-22 09:30:01"), 20.0, False, False, 3, at("03-23 09:00"), None),
            (4, 12, "eve@acme.example", at("03-01 12:00"), 50.0, False, False, 4, None, "null"),
            (5, 12, "eve@acme.example", at("03-01 12:00"), 50.0, True, False, 5, None, None),
            (6, 11, "ada@acme.example", at("03-01 11:30"), 999.0, False, True, 6, None, None),
            (7, 13, None, at("03-14 12:00"), 66.73, False, False, 7, None, None),
            (8, None, "BOB@acme.example", at("03-28 12:00"), 5.0, False, False, 8, None, None),
        ],
    ),
    "customer": (
        {
            "id": _ID, "email": _TEXT, "first_name": _TEXT, "last_name": _TEXT, "phone": _TEXT, "created_at": _TIME,
            "state": _TEXT, "accepts_marketing": _IS, "email_marketing_consent_state": _TEXT, "verified_email": _IS,
            "tax_exempt": _IS, "_fivetran_deleted": _IS,
        },
        [
            (11, _ADA, "Ada", "Lovelace", "+1555", at("02-01 09:00"), "ENABLED", True, None, True, True, None),
            (12, "eve@acme.example", "Eve", None, None, at("02-02 09:00"), None, True, None, None, None, False),
            (13, None, "Someone", None, "+1777", at("02-03 09:00"), None, None, None, None, None, False),
            (14, _ADA.upper(), "A", None, "+1666", at("02-04 09:00"), "DISABLED", True, "PENDING", False, False, None),
            (15, "bob@acme.example", "Bob", None, None, at("02-05 09:00"), None, None, None, None, None, True),
        ],
    ),
    "customer_tag": (
        {"index": _ID, "customer_id": _ID, "value": _TEXT},
        [(1, 14, "new"), (2, 11, "gold"), (3, 14, "gold")],
    ),
    "abandoned_checkout": (
        {"id": _ID, "email": _TEXT},
        [(81, "ADA@acme.example"), (82, "ada@acme.example"), (83, None)],
    ),
    "order_line": (
        {
            "id": _ID, "order_id": _ID, "product_id": _ID, "variant_id": _ID, "quantity": _ID,
            "total_discount": _NUMBER,
        },
        [
            (21, 1, 201, 211, 2, 3.0), (22, 1, 202, 221, 1, 0.0), (23, 2, 201, 211, 1, 1.0),
            (24, 1, 201, 212, 1, 0.0),
        ],
    ),
    "tax_line": (
        {"index": _ID, "order_line_id": _ID, "price": _NUMBER},
        [(1, 21, 4.0), (2, 21, 1.0), (3, 22, 1.5), (4, 23, 2.0)],
    ),
    "refund": ({"id": _ID, "order_id": _ID}, [(31, 1)]),
    "order_line_refund": (
        {"id": _ID, "refund_id": _ID, "order_line_id": _ID, "subtotal": _NUMBER, "total_tax": _NUMBER},
        [(41, 31, 22, 15.0, 1.5)],
    ),
    "order_shipping_line": (
        {"id": _ID, "order_id": _ID, "price": _NUMBER, "discounted_price": _NUMBER},
        [(51, 1, 4.9, 2.0), (52, 2, 4.1, 3.5)],
    ),
    "order_shipping_tax_line": (
        {"index": _ID, "order_shipping_line_id": _ID, "price": _NUMBER}, [(1, 51, 0.25), (2, 51, 0.15)],
    ),
    "order_adjustment": (
        {"id": _ID, "order_id": _ID, "amount": _NUMBER, "tax_amount": _NUMBER}, [(61, 2, -1.0, -0.25)],
    ),
    "order_discount_code": (
        {"index": _ID, "order_id": _ID, "code": _TEXT, "type": _TEXT, "amount": _NUMBER},
        [(1, 1, "TEA", "percentage", 3.0), (2, 1, "SHIP", "shipping", 2.9), (3, 2, "ONE", "fixed_amount", 1.0)],
    ),
    "order_tag": ({"index": _ID, "order_id": _ID, "value": _TEXT}, [(1, 1, "vip"), (2, 1, "b2b")]),
    "order_url_tag": ({"key": _TEXT, "order_id": _ID, "value": _TEXT}, [("utm_source", 1, "klaviyo")]),
    "fulfillment": (
        {"id": _ID, "order_id": _ID, "service": _TEXT, "tracking_company": _TEXT, "tracking_number": _TEXT},
        [(71, 1, "manual", "UPS", "1Z"), (72, 1, "manual", "DHL", None)],
    ),
    "transaction": (
        {
            "id": _ID, "order_id": _ID, "kind": _TEXT, "status": _TEXT, "gateway": _TEXT, "amount": _NUMBER,
            "test": _IS, "receipt": _TEXT,
        },
        [
            (91, 1, "authorization", "success", "cards", 100.0, False, None),
            (92, 1, "capture", "SUCCESS", "cards", 60.0, False, "{}"),
            (93, 1, "sale", "success", "cards", 40.0, False, "a receipt"),
            (94, 1, "refund", "success", "cards", 16.5, False, None),
            (95, 2, "sale", "success", "gift_card", 10.0, False, None),
            (96, 2, "sale", "success", "cards", 20.0, None, None),
            (97, 3, "sale", "failure", "cards", 20.0, False, None),
            (98, 3, "sale", "success", "cards", 18.0, False, _RECEIPT),
            (99, 4, "sale", "success", "cards", 50.0, True, None),
            (100, 7, "sale", "success", None, 66.73, False, None),
        ],
    ),
}  # fmt: skip
