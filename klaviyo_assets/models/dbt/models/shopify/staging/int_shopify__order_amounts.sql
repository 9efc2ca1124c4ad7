-- What belongs to an order but stands in tables of its own, added up.
{%- set is_paid_told = has_table('shopify', 'transaction') %}
with order_line as (
    {{ source_rows('shopify', 'order_line', [
        {'name': 'id', 'type': 'id'},
        {'name': 'order_id', 'type': 'id'},
        {'name': 'product_id', 'type': 'id'},
        {'name': 'variant_id', 'type': 'id'},
        {'name': 'quantity', 'type': dbt.type_numeric()},
        {'name': 'total_discount', 'type': dbt.type_numeric()},
    ]) }}
),

tax_line as (
    {{ source_rows('shopify', 'tax_line', [
        {'name': 'order_line_id', 'type': 'id'},
        {'name': 'price', 'type': dbt.type_numeric()},
    ]) }}
),

refund as (
    {{ source_rows('shopify', 'refund', [
        {'name': 'id', 'type': 'id'},
        {'name': 'order_id', 'type': 'id'},
    ]) }}
),

order_line_refund as (
    {{ source_rows('shopify', 'order_line_refund', [
        {'name': 'refund_id', 'type': 'id'},
        {'name': 'order_line_id', 'type': 'id'},
        {'name': 'subtotal', 'type': dbt.type_numeric()},
        {'name': 'total_tax', 'type': dbt.type_numeric()},
    ]) }}
),

order_shipping_line as (
    {{ source_rows('shopify', 'order_shipping_line', [
        {'name': 'id', 'type': 'id'},
        {'name': 'order_id', 'type': 'id'},
        {'name': 'price', 'type': dbt.type_numeric()},
        {'name': 'discounted_price', 'type': dbt.type_numeric()},
    ]) }}
),

order_shipping_tax_line as (
    {{ source_rows('shopify', 'order_shipping_tax_line', [
        {'name': 'order_shipping_line_id', 'type': 'id'},
        {'name': 'price', 'type': dbt.type_numeric()},
    ]) }}
),

order_adjustment as (
    {{ source_rows('shopify', 'order_adjustment', [
        {'name': 'order_id', 'type': 'id'},
        {'name': 'amount', 'type': dbt.type_numeric()},
        {'name': 'tax_amount', 'type': dbt.type_numeric()},
    ]) }}
),

order_discount_code as (
    {{ source_rows('shopify', 'order_discount_code', [
        {'name': 'order_id', 'type': 'id'},
        {'name': 'code', 'type': dbt.type_string()},
        {'name': 'type', 'type': dbt.type_string()},
        {'name': 'amount', 'type': dbt.type_numeric()},
    ]) }}
),

lines as (
    select
        order_id,
        source_relation,
        count(*) as line_item_count,
        count(distinct product_id) as product_count,
        count(distinct case when product_id is not null then variant_id end) as product_variant_count,
        sum(quantity) as quantity,
        sum(total_discount) as line_discount
    from order_line
    group by order_id, source_relation
),

taxes as (
    select order_line.order_id as order_id, order_line.source_relation as source_relation, sum(tax_line.price) as line_tax
    from tax_line
    inner join order_line
        on order_line.id = tax_line.order_line_id and order_line.source_relation = tax_line.source_relation
    group by order_line.order_id, order_line.source_relation
),

refunded_lines as (
    select
        coalesce(refund.order_id, order_line.order_id) as order_id,
        order_line_refund.source_relation as source_relation,
        order_line_refund.subtotal as subtotal,
        order_line_refund.total_tax as total_tax
    from order_line_refund
    left join refund
        on refund.id = order_line_refund.refund_id and refund.source_relation = order_line_refund.source_relation
    left join order_line
        on order_line.id = order_line_refund.order_line_id
        and order_line.source_relation = order_line_refund.source_relation
),

refunds as (
    select order_id, source_relation, sum(subtotal) as refund_subtotal, sum(total_tax) as refund_total_tax
    from refunded_lines
    group by order_id, source_relation
),

shipping as (
    select order_id, source_relation, sum(price) as shipping_price, sum(discounted_price) as discounted_shipping_price
    from order_shipping_line
    group by order_id, source_relation
),

shipping_taxes as (
    select
        order_shipping_line.order_id as order_id,
        order_shipping_line.source_relation as source_relation,
        sum(order_shipping_tax_line.price) as shipping_tax
    from order_shipping_tax_line
    inner join order_shipping_line
        on order_shipping_line.id = order_shipping_tax_line.order_shipping_line_id
        and order_shipping_line.source_relation = order_shipping_tax_line.source_relation
    group by order_shipping_line.order_id, order_shipping_line.source_relation
),

adjustments as (
    select
        order_id,
        source_relation,
        sum(amount) as order_adjustment_amount,
        sum(tax_amount) as order_adjustment_tax_amount
    from order_adjustment
    group by order_id, source_relation
),

discounts as (
    select
        order_id,
        source_relation,
        sum(case when {{ quoted('type') }} = 'shipping' then amount end) as shipping_discount_amount,
        sum(case when {{ quoted('type') }} = 'percentage' then amount end) as percentage_calc_discount_amount,
        sum(case when {{ quoted('type') }} = 'fixed_amount' then amount end) as fixed_amount_discount_amount,
        count(distinct code) as count_discount_codes_applied
    from order_discount_code
    group by order_id, source_relation
),

payments as (
    select
        order_id,
        source_relation,
        sum(case when kind <> 'refund' then amount end) as paid,
        sum(case when kind = 'refund' then amount end) as paid_back
    from {{ ref('stg_shopify__transaction') }}
    group by order_id, source_relation
)

select
    orders.order_id as order_id,
    orders.source_relation as source_relation,
    coalesce(lines.line_item_count, 0) as line_item_count,
    coalesce(lines.product_count, 0) as product_count,
    coalesce(lines.product_variant_count, 0) as product_variant_count,
    coalesce(lines.quantity, 0) as quantity,
    lines.quantity as line_quantity,
    lines.line_discount as line_discount,
    taxes.line_tax as line_tax,
    shipping.shipping_price as shipping_price,
    shipping.discounted_shipping_price as discounted_shipping_price,
    shipping_taxes.shipping_tax as shipping_tax,
    coalesce(
        {{ number(json_value('orders.total_shipping_price_set', ['shop_money', 'amount'])) }}, shipping.shipping_price, 0
    ) as shipping_cost,
    coalesce(adjustments.order_adjustment_amount, 0) as order_adjustment_amount,
    coalesce(adjustments.order_adjustment_tax_amount, 0) as order_adjustment_tax_amount,
    coalesce(refunds.refund_subtotal, 0) as refund_subtotal,
    coalesce(refunds.refund_total_tax, 0) as refund_total_tax,
    coalesce(discounts.shipping_discount_amount, 0) as shipping_discount_amount,
    coalesce(discounts.percentage_calc_discount_amount, 0) as percentage_calc_discount_amount,
    coalesce(discounts.fixed_amount_discount_amount, 0) as fixed_amount_discount_amount,
    coalesce(discounts.count_discount_codes_applied, 0) as count_discount_codes_applied,
    {%- if is_paid_told %}
    payments.paid as paid,
    payments.paid_back as paid_back
    {%- else %}
    orders.total_price as paid,
    refunds.refund_subtotal + refunds.refund_total_tax as paid_back
    {%- endif %}
from {{ ref('stg_shopify__order') }} as orders
left join lines
    on lines.order_id = orders.order_id and lines.source_relation = orders.source_relation
left join taxes
    on taxes.order_id = orders.order_id and taxes.source_relation = orders.source_relation
left join shipping
    on shipping.order_id = orders.order_id and shipping.source_relation = orders.source_relation
left join shipping_taxes
    on shipping_taxes.order_id = orders.order_id and shipping_taxes.source_relation = orders.source_relation
left join adjustments
    on adjustments.order_id = orders.order_id and adjustments.source_relation = orders.source_relation
left join refunds
    on refunds.order_id = orders.order_id and refunds.source_relation = orders.source_relation
left join discounts
    on discounts.order_id = orders.order_id and discounts.source_relation = orders.source_relation
left join payments
    on payments.order_id = orders.order_id and payments.source_relation = orders.source_relation
