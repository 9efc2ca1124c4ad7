-- Words that belong to an order but stand in tables of their own, in one text each.
{%- set columns = {
    'order_tags': ('order_tag', 'value'),
    'order_url_tags': ('order_url_tag', 'value'),
    'fulfillment_services': ('fulfillment', 'service'),
    'tracking_companies': ('fulfillment', 'tracking_company'),
    'tracking_numbers': ('fulfillment', 'tracking_number'),
} %}
with order_tag as (
    {{ source_rows('shopify', 'order_tag', [
        {'name': 'order_id', 'type': 'id'},
        {'name': 'value', 'type': dbt.type_string()},
    ]) }}
),

order_url_tag as (
    {{ source_rows('shopify', 'order_url_tag', [
        {'name': 'order_id', 'type': 'id'},
        {'name': 'value', 'type': dbt.type_string()},
    ]) }}
),

fulfillment as (
    {{ source_rows('shopify', 'fulfillment', [
        {'name': 'order_id', 'type': 'id'},
        {'name': 'service', 'type': dbt.type_string()},
        {'name': 'tracking_company', 'type': dbt.type_string()},
        {'name': 'tracking_number', 'type': dbt.type_string()},
    ]) }}
),

fulfillments as (
    select order_id, source_relation, count(*) as number_of_fulfillments
    from fulfillment
    group by order_id, source_relation
),

words as (
    {%- for name, (table, column) in columns.items() %}
    {{ 'union all' if not loop.first }}
    select distinct order_id, source_relation, '{{ name }}' as name, {{ quoted(column) }} as word
    from {{ table }}
    where {{ quoted(column) }} is not null
    {%- endfor %}
),

lists as (
    select order_id, source_relation, name, {{ dbt.listagg('word', "', '", 'order by word') }} as words
    from words
    group by order_id, source_relation, name
),

by_order as (
    select
        order_id,
        source_relation
        {%- for name in columns %},
        max(case when name = '{{ name }}' then words end) as {{ name }}
        {%- endfor %}
    from lists
    group by order_id, source_relation
)

select
    orders.order_id as order_id,
    orders.source_relation as source_relation,
    {%- for name in columns %}
    by_order.{{ name }} as {{ name }},
    {%- endfor %}
    coalesce(fulfillments.number_of_fulfillments, 0) as number_of_fulfillments
from {{ ref('stg_shopify__order') }} as orders
left join by_order
    on by_order.order_id = orders.order_id and by_order.source_relation = orders.source_relation
left join fulfillments
    on fulfillments.order_id = orders.order_id and fulfillments.source_relation = orders.source_relation
