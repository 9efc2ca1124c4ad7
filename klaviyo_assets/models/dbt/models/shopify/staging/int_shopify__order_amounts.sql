-- What belongs to an order but stands in tables of its own.
with order_line as (
    {{ source_rows('shopify', 'order_line', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'order_id', 'type': dbt.type_string()},
        {'name': 'product_id', 'type': dbt.type_string()},
        {'name': 'variant_id', 'type': dbt.type_string()},
        {'name': 'quantity', 'type': dbt.type_numeric()},
    ]) }}
),

order_line_refund as (
    {{ source_rows('shopify', 'order_line_refund', [
        {'name': 'order_line_id', 'type': dbt.type_string()},
        {'name': 'subtotal', 'type': dbt.type_numeric()},
        {'name': 'total_tax', 'type': dbt.type_numeric()},
    ]) }}
),

order_shipping_line as (
    {{ source_rows('shopify', 'order_shipping_line', [
        {'name': 'order_id', 'type': dbt.type_string()},
        {'name': 'price', 'type': dbt.type_numeric()},
    ]) }}
),

order_adjustment as (
    {{ source_rows('shopify', 'order_adjustment', [
        {'name': 'order_id', 'type': dbt.type_string()},
        {'name': 'amount', 'type': dbt.type_numeric()},
        {'name': 'tax_amount', 'type': dbt.type_numeric()},
    ]) }}
),

lines as (
    select
        order_id,
        source_relation,
        count(*) as line_item_count,
        count(distinct product_id) as product_count,
        count(distinct variant_id) as product_variant_count,
        sum(quantity) as quantity
    from order_line
    group by order_id, source_relation
),

refunds as (
    select
        order_line.order_id as order_id,
        order_line.source_relation as source_relation,
        sum(order_line_refund.subtotal) as refund_subtotal,
        sum(order_line_refund.total_tax) as refund_total_tax
    from order_line_refund
    inner join order_line
        on order_line.id = order_line_refund.order_line_id
        and order_line.source_relation = order_line_refund.source_relation
    group by order_line.order_id, order_line.source_relation
),

shipping as (
    select order_id, source_relation, sum(price) as shipping_cost
    from order_shipping_line
    group by order_id, source_relation
),

adjustments as (
    select
        order_id,
        source_relation,
        sum(amount) as order_adjustment_amount,
        sum(tax_amount) as order_adjustment_tax_amount
    from order_adjustment
    group by order_id, source_relation
)

select
    orders.order_id as order_id,
    orders.source_relation as source_relation,
    coalesce(lines.line_item_count, 0) as line_item_count,
    coalesce(lines.product_count, 0) as product_count,
    coalesce(lines.product_variant_count, 0) as product_variant_count,
    coalesce(lines.quantity, 0) as quantity,
    coalesce(shipping.shipping_cost, 0) as shipping_cost,
    coalesce(adjustments.order_adjustment_amount, 0) as order_adjustment_amount,
    coalesce(adjustments.order_adjustment_tax_amount, 0) as order_adjustment_tax_amount,
    coalesce(refunds.refund_subtotal, 0) as refund_subtotal,
    coalesce(refunds.refund_total_tax, 0) as refund_total_tax
from {{ ref('stg_shopify__order') }} as orders
left join lines
    on lines.order_id = orders.order_id and lines.source_relation = orders.source_relation
left join shipping
    on shipping.order_id = orders.order_id and shipping.source_relation = orders.source_relation
left join adjustments
    on adjustments.order_id = orders.order_id and adjustments.source_relation = orders.source_relation
left join refunds
    on refunds.order_id = orders.order_id and refunds.source_relation = orders.source_relation
