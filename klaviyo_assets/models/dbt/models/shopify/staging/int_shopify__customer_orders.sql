-- What the orders of each e-mail address came to: of the customers who have it now, or, of orders without one, their own.
with orders as (
    select
        coalesce(customers.email, orders.email) as email,
        orders.source_relation as source_relation,
        orders.created_timestamp as created_timestamp,
        orders.order_adjusted_total as adjusted_total,
        amounts.paid as paid,
        amounts.paid_back as paid_back,
        amounts.line_quantity as line_quantity,
        amounts.line_tax as line_tax,
        amounts.line_discount as line_discount,
        amounts.shipping_price as shipping_price,
        amounts.discounted_shipping_price as discounted_shipping_price,
        amounts.shipping_tax as shipping_tax
    from {{ ref('shopify_holistic_reporting__orders_attribution') }} as orders
    inner join {{ ref('int_shopify__order_amounts') }} as amounts
        on amounts.order_id = orders.order_id and amounts.source_relation = orders.source_relation
    left join {{ ref('stg_shopify__customer') }} as customers
        on customers.customer_id = orders.customer_id and customers.source_relation = orders.source_relation
)

select
    email,
    source_relation,
    count(*) as lifetime_count_orders,
    min(created_timestamp) as first_order_timestamp,
    max(created_timestamp) as most_recent_order_timestamp,
    avg(paid) as avg_order_value,
    coalesce(sum(paid), 0) as lifetime_total_spent,
    coalesce(sum(paid_back), 0) as lifetime_total_refunded,
    coalesce(sum(paid), 0) - coalesce(sum(paid_back), 0) as lifetime_total_net,
    coalesce(sum(adjusted_total), 0) as lifetime_total_amount,
    avg(line_quantity) as avg_quantity_per_order
    {%- for column, name in {
        'line_tax': 'tax', 'line_discount': 'discount', 'shipping_price': 'shipping',
        'discounted_shipping_price': 'shipping_with_discounts', 'shipping_tax': 'shipping_tax',
    }.items() %},
    coalesce(sum({{ column }}), 0) as lifetime_total_{{ name }},
    avg({{ column }}) as avg_{{ name }}_per_order
    {%- endfor %}
from orders
where email is not null
group by email, source_relation
