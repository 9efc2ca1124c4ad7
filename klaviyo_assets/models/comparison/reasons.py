"""What differs from Fivetran's packages by design: rows of the tables of docs/models.md, as conditions.

A difference that no condition explains is unexpected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EVENTS = "klaviyo__events"
ORDERS = "shopify_holistic_reporting__orders_attribution"
CUSTOMERS = "shopify_holistic_reporting__customer_enhanced"
DAYS = "shopify_holistic_reporting__daily_customer_metrics"

_ALL = r".*"
_SHOP = r"shopify_.*"
_BY_MESSAGE = r"klaviyo__(campaigns|flows|person_campaign_flow)"
_NUMBERS = r".*(count|sum_revenue)_.*"
_CREDIT = r"last_touch_.*|is_attributed|klaviyo_source_relation|count_interactions_.*"
_LIFETIME = r"shopify_(lifetime_total_.*|lifetime_count_orders|avg_.*|.*_order_at|.*_order_timestamp)"
_LISTS = r"order_(url_)?tags|fulfillment_services|tracking_.*|shopify_customer_(ids|tags)|.*person_ids|phone_number"
_AMOUNTS = (
    r"(?!.*(count|number|_id)).*(price|discount|tax|amount|cost|total|refund|spent|net|value|weight|tip|per_order).*"
)

READ = {
    "event": ("id", "_fivetran_deleted"),
    "transaction": ("order_id", "status", "kind", "gateway"),
    "order": ("customer_id", "email"),
    "customer": ("id", "email", "_fivetran_deleted"),
}
"""The tables that conditions read, by these names, and what they need of them."""

ONCE_PAID = """EXISTS (
    SELECT 1 FROM {transaction} WHERE lower(status) = 'success' AND lower(kind) IN ('sale', 'capture')
    GROUP BY order_id HAVING count(DISTINCT lower(kind)) > 1 OR count(gateway) < count(*)
)"""
OF_NOBODY = """EXISTS (
    SELECT 1 FROM {order} AS placed LEFT JOIN {customer} AS buyer
        ON CAST(buyer.id AS VARCHAR) = CAST(placed.customer_id AS VARCHAR) AND buyer.email IS NOT NULL
    WHERE buyer.id IS NULL AND placed.email IS NOT NULL
)"""
CUSTOMERS_GONE = "EXISTS (SELECT 1 FROM {customer} WHERE _fivetran_deleted)"


@dataclass(frozen=True)
class Reason:
    """Why a column of some models differs by design.

    row: the first cell of what docs/models.md says of it. text: what is said of it here. models, columns: patterns of
    whole names. condition: on a row of both sides, `t` of the package and `o` of ours; {t} and {o} are its values of
    the column, the names of tables are those that are read. numbers: it speaks of columns that are numbers. only: on
    which side alone a row may be, `theirs` or `ours` (then it has no columns). where: a condition on tables that are
    read, which has to hold. after: a reason that has to have been met before. sessions: it holds only if credit is
    given by sessions.
    """

    row: str
    text: str
    models: str
    columns: str = ""
    condition: str = "true"
    only: str = ""
    where: str = ""
    after: str = ""
    numbers: bool = False
    sessions: bool = False

    def explains(self, model: str, column: str, *, is_number: bool) -> bool:
        """Return whether it may explain a column of a model."""
        if self.only or (self.numbers and not is_number):
            return False
        return bool(re.fullmatch(self.models, model) and re.fullmatch(self.columns, column))

    def explains_rows(self, model: str, side: str) -> bool:
        """Return whether it may explain why rows of a model are on one side alone."""
        return self.only == side and bool(re.fullmatch(self.models, model))


OTHER_NAME = "the account has another name: `klaviyo__source_relation` in `model_variables` sets the package's"
VARIATION = "a conversion has the variation of the message that earned it"
SIGN = "`numeric_value` keeps its sign, and is NULL if it is no number"
CREDIT = "credit for an order by the last touch, to the second, within 24 hours of a text message, by both names"
DELETED_EVENTS = "deleted events leave; the package keeps them until a full refresh"
DELETED_CUSTOMERS = "deleted customers leave"

REASONS = (
    Reason(
        "`source_relation` and keys that are made of it",
        OTHER_NAME,
        _ALL,
        r"source_relation|klaviyo_source_relation|unique_event_id|(campaign|flow)_variation_key",
        "t.{source} <> o.{source}",
    ),
    # Klaviyo's part
    Reason(
        "deleted events, names that changed",
        DELETED_EVENTS,
        EVENTS,
        condition="EXISTS (SELECT 1 FROM {event} AS gone WHERE gone.id = t.event_id AND gone._fivetran_deleted)",
        only="theirs",
    ),
    Reason("`variation_id` of a conversion", VARIATION, EVENTS, "variation_id", "{t} IS NULL AND t.touch_id IS NULL"),
    Reason(
        "`variation_id` of a conversion",
        VARIATION,
        _BY_MESSAGE,
        r"variation_id|(campaign|flow)_variation_key|unique_.*|total_count_unique_people",
        "t._rows > 1 OR o._rows > 1 OR t.variation_id IS NULL",
    ),
    Reason(
        "`variation_id` of a conversion", VARIATION, DAYS, "variation_id", "t._rows > 1 OR o._rows > 1 OR {t} IS NULL"
    ),
    Reason(
        "`last_touch_at`, `last_touch_event_type`",
        "the last touch is the event that earned the credit",
        EVENTS,
        "last_touch_at|last_touch_event_type",
        "t.touch_id IS NULL AND o.last_touch_type IS NOT NULL",
    ),
    Reason(
        "events before a person's first eligible touch, by sessions",
        "by sessions, only what comes after a touch, within the lookback to the second, is credited",
        EVENTS,
        r"last_touch_.*|campaign_.*|flow_name|variation_id",
        "t.touch_id IS NULL",
        sessions=True,
    ),
    Reason(
        "events before a person's first eligible touch, by sessions",
        "by sessions, only what comes after a touch, within the lookback to the second, is credited",
        r"klaviyo__(?!events).*|shopify_holistic_reporting__(customer_enhanced|daily_customer_metrics)",
        r"(klaviyo_)?(organic_|total_|unique_)?(count|sum_revenue)_.*|.*(first|last)_.*_at",
        sessions=True,
    ),
    Reason("`numeric_value`", SIGN, EVENTS, "numeric_value", "{t} = -{o} OR {o} IS NULL"),
    Reason("`numeric_value`", SIGN, _ALL, r".*sum_revenue_.*", "{o} < {t}", after=SIGN),
    Reason(
        "`count_*_sms`, `sum_revenue_*`",
        "0 where nothing happened",
        _ALL,
        _NUMBERS,
        "{t} IS NULL AND {o} = 0",
        numbers=True,
    ),
    Reason(
        "`count_*_sms`, `sum_revenue_*`",
        "both names of a metric of text messages count",
        _ALL,
        r".*_sms",
        "{o} >= coalesce({t}, 0)",
        numbers=True,
    ),
    Reason(
        "`campaign_name`", "the subject, if a campaign has no name", _ALL, r"(last_touch_)?campaign_name", "{t} IS NULL"
    ),
    Reason(
        "`full_name`",
        "half a name is one",
        r"klaviyo__persons",
        "full_name",
        "{t} IS NULL OR trim({t}) = coalesce({o}, '')",
    ),
    Reason("`full_name`", "half a name is one", CUSTOMERS, "full_name", "{t} IS NULL OR trim({t}) = coalesce({o}, '')"),
    Reason(
        "types", "values have 6 decimals", _ALL, r".*sum_revenue_.*", "abs({t} - {o}) <= 0.005 + abs({o}) / 1000000"
    ),
    # Shopify's
    Reason(
        "numbers of nothing: refunds, adjustments, lines, fulfillments; a side that does not know the customer or day",
        "numbers of nothing are 0",
        _SHOP,
        _ALL,
        "{t} IS NULL AND {o} = 0",
        numbers=True,
    ),
    Reason(
        "types",
        "amounts have 6 decimals",
        _SHOP,
        _AMOUNTS,
        "abs({t} - {o}) <= 0.005 + abs({o}) / 1000000",
        numbers=True,
    ),
    Reason(
        "`count_interactions_with_flow`",
        "a flow's count is NULL without its credit",
        ORDERS,
        "count_interactions_with_flow",
        "{o} IS NULL",
    ),
    Reason(
        "the credit of an order",
        CREDIT,
        ORDERS,
        _CREDIT,
        "lower(o.last_touch_event_type) LIKE '%text messag%' OR lower(t.last_touch_event_type) LIKE '%sms%' "
        "OR t.last_touch_event_occurred_at = o.last_touch_event_occurred_at "
        "OR (o.last_touch_event_id IS NULL AND {late})",
    ),
    Reason("the credit of an order", CREDIT, DAYS, r"shopify_.*|klaviyo_source_relation", after=CREDIT),
    Reason("the credit of an order", CREDIT, DAYS, only="theirs", after=CREDIT),
    Reason("the credit of an order", CREDIT, DAYS, only="ours", after=CREDIT),
    Reason(
        "`customer_order_seq_number`, `new_vs_repeat`",
        "orders without a customer are nobody's first or next",
        ORDERS,
        "customer_order_seq_number|new_vs_repeat",
        "o.customer_id IS NULL",
    ),
    Reason(
        "`shipping_cost`", "shipping by its lines, if the order does not say it", ORDERS, "shipping_cost", "{t} = 0"
    ),
    Reason(
        "`shipping_cost`",
        "shipping by its lines, if the order does not say it",
        DAYS,
        "shopify_total_shipping_cost",
        "{t} < {o}",
    ),
    Reason(
        "lists such as `order_tags`, `shopify_customer_ids`",
        "lists are in alphabetical order",
        _SHOP,
        _LISTS,
        "length({t}) = length({o})",
    ),
    Reason(
        "`shopify_lifetime_*`, `shopify_avg_*`",
        "every order is paid once, whatever its payments are",
        CUSTOMERS,
        _LIFETIME,
        where=ONCE_PAID,
    ),
    Reason(
        "orders without a customer",
        "orders without a customer count by their address",
        CUSTOMERS,
        _LIFETIME,
        where=OF_NOBODY,
    ),
    Reason(
        "deleted customers",
        DELETED_CUSTOMERS,
        CUSTOMERS,
        r"shopify_.*|full_name|phone_number|is_shopify_email_verified",
        "o.shopify_customer_ids IS NULL OR length(o.shopify_customer_ids) < length(t.shopify_customer_ids)",
        where=CUSTOMERS_GONE,
    ),
    Reason(
        "deleted customers",
        DELETED_CUSTOMERS,
        CUSTOMERS,
        condition="t.klaviyo_person_ids IS NULL",
        only="theirs",
        where=CUSTOMERS_GONE,
    ),
    Reason(
        "`klaviyo_*` of several profiles with one address",
        "numbers of all profiles with one address",
        CUSTOMERS,
        r"klaviyo_.*",
        "o.klaviyo_person_ids LIKE '%, %'",
    ),
    Reason("`email`", "addresses are in lower case", DAYS, "email", "lower({t}) = {o}"),
    Reason(
        "`klaviyo_source_relation` of a day",
        "a day has its account, whichever side knows it",
        DAYS,
        r".*_source_relation",
        "{t} IS NULL",
    ),
)
"""The first that explains a difference is named."""
