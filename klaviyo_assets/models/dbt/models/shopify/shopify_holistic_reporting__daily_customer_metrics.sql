{%- set keys = ['date_day', 'email', 'campaign_id', 'flow_id', 'variation_id', 'klaviyo_source_relation'] %}
with klaviyo as (
    select
        occurred_on as date_day,
        lower(person_email) as email,
        last_touch_campaign_id as campaign_id,
        last_touch_flow_id as flow_id,
        variation_id,
        source_relation as klaviyo_source_relation,
        max(campaign_name) as campaign_name,
        max(campaign_subject_line) as campaign_subject_line,
        max(campaign_type) as campaign_type,
        max(flow_name) as flow_name,
        min(occurred_at) as klaviyo_first_event_at,
        max(occurred_at) as klaviyo_last_event_at
        {{- pivot_metrics('klaviyo_') }}
    from {{ ref('klaviyo__events') }}
    group by occurred_on, lower(person_email), last_touch_campaign_id, last_touch_flow_id, variation_id, source_relation
),

-- The account that belongs to orders which are credited to nothing, if there is one only.
account as (
    select case when count(distinct source_relation) = 1 then max(source_relation) end as source_relation
    from {{ ref('klaviyo__events') }}
),

shopify as (
    select
        {{ day_of('created_timestamp') }} as date_day,
        email,
        last_touch_campaign_id as campaign_id,
        last_touch_flow_id as flow_id,
        last_touch_variation_id as variation_id,
        coalesce(orders.klaviyo_source_relation, account.source_relation) as klaviyo_source_relation,
        shopify_source_relation,
        max(last_touch_campaign_name) as campaign_name,
        max(last_touch_campaign_subject_line) as campaign_subject_line,
        max(last_touch_campaign_type) as campaign_type,
        max(last_touch_flow_name) as flow_name,
        count(*) as shopify_total_orders,
        sum(order_adjusted_total) as shopify_total_price,
        sum(line_item_count) as shopify_count_line_items,
        sum(total_line_items_price) as shopify_total_line_items_price,
        sum(total_discounts) as shopify_total_discounts,
        sum(total_tax) as shopify_total_tax,
        sum(shipping_cost) as shopify_total_shipping_cost,
        sum(refund_subtotal) as shopify_total_refund_subtotal,
        sum(refund_total_tax) as shopify_total_refund_tax,
        sum(order_adjustment_amount) as shopify_total_order_adjustment_amount,
        sum(order_adjustment_tax_amount) as shopify_total_order_adjustment_tax_amount,
        sum(quantity) as shopify_sum_quantity,
        sum(product_count) as shopify_count_products,
        sum(product_variant_count) as shopify_count_product_variants,
        sum(case when cancelled_timestamp is not null then 1 else 0 end) as shopify_count_cancelled_orders
    from {{ ref('shopify_holistic_reporting__orders_attribution') }} as orders
    cross join account
    group by
        {{ day_of('created_timestamp') }},
        email,
        last_touch_campaign_id,
        last_touch_flow_id,
        last_touch_variation_id,
        coalesce(orders.klaviyo_source_relation, account.source_relation),
        shopify_source_relation
),

klaviyo_keyed as (
    select *, {{ surrogate_key(keys) }} as daily_key from klaviyo
),

shopify_keyed as (
    select *, {{ surrogate_key(keys) }} as daily_key from shopify
)

select
    {%- for key in keys + ['campaign_name', 'campaign_subject_line', 'campaign_type', 'flow_name'] %}
    coalesce(klaviyo_keyed.{{ key }}, shopify_keyed.{{ key }}) as {{ key }},
    {%- endfor %}
    shopify_keyed.shopify_source_relation as shopify_source_relation,
    klaviyo_keyed.klaviyo_first_event_at as klaviyo_first_event_at,
    klaviyo_keyed.klaviyo_last_event_at as klaviyo_last_event_at
    {%- for name in [
        'total_orders', 'total_price', 'count_line_items', 'total_line_items_price', 'total_discounts', 'total_tax',
        'total_shipping_cost', 'total_refund_subtotal', 'total_refund_tax', 'total_order_adjustment_amount',
        'total_order_adjustment_tax_amount', 'sum_quantity', 'count_products', 'count_product_variants',
        'count_cancelled_orders',
    ] %},
    coalesce(shopify_keyed.shopify_{{ name }}, 0) as shopify_{{ name }}
    {%- endfor %}
    {%- for column in metric_columns() %},
    coalesce(klaviyo_keyed.klaviyo_{{ column.name }}, 0) as klaviyo_{{ column.name }}
    {%- endfor %}
from klaviyo_keyed
full outer join shopify_keyed
    on shopify_keyed.daily_key = klaviyo_keyed.daily_key
