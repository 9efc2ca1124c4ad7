{#- The orders of the model, and what they came to, are those of the shop. -#}
{% test orders_add_up(model, orders) %}
with own as (
    select coalesce(sum(shopify_total_orders), 0) as number_of_orders, coalesce(sum(shopify_total_price), 0) as total
    from {{ model }}
),

expected as (
    select count(*) as number_of_orders, coalesce(sum(order_adjusted_total), 0) as total
    from {{ orders }}
)

select own.*
from own
cross join expected
where own.number_of_orders <> expected.number_of_orders or own.total <> expected.total
{% endtest %}
