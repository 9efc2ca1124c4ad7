with touches as (
    select *
    from {{ ref('klaviyo__events') }}
    where last_touch_type is not null and {{ is_eligible('type') }}
),

candidates as (
    select
        orders.order_id as order_id,
        orders.source_relation as shopify_source_relation,
        {{ all_columns('touches', ref('klaviyo__events')) }},
        row_number() over (
            partition by orders.order_id, orders.source_relation
            order by touches.occurred_at desc, touches.event_id
        ) as recency,
        count(*) over (
            partition by orders.order_id, orders.source_relation, touches.last_touch_campaign_id, touches.last_touch_flow_id
        ) as interactions
    from {{ ref('stg_shopify__order') }} as orders
    inner join touches
        on lower(touches.person_email) = orders.email
        and touches.occurred_at < orders.created_timestamp
        and orders.created_timestamp <= {{ hours_later(lookback_hours('touches.type'), 'touches.occurred_at') }}
)

select
    {{ all_columns('orders', ref('stg_shopify__order')) }},
    {{ surrogate_key(['orders.source_relation', 'orders.order_id']) }} as orders_unique_key,
    {%- for name in [
        'line_item_count', 'product_count', 'product_variant_count', 'quantity', 'shipping_cost',
        'order_adjustment_amount', 'order_adjustment_tax_amount', 'refund_subtotal', 'refund_total_tax',
        'shipping_discount_amount', 'percentage_calc_discount_amount', 'fixed_amount_discount_amount',
        'count_discount_codes_applied',
    ] %}
    amounts.{{ name }} as {{ name }},
    {%- endfor %}
    coalesce(amounts.shipping_tax, 0) as order_total_shipping_tax,
    {%- for name in [
        'order_tags', 'order_url_tags', 'number_of_fulfillments', 'fulfillment_services', 'tracking_companies',
        'tracking_numbers',
    ] %}
    labels.{{ name }} as {{ name }},
    {%- endfor %}
    coalesce(orders.total_price, 0) + amounts.order_adjustment_amount + amounts.order_adjustment_tax_amount
        - amounts.refund_subtotal - amounts.refund_total_tax as order_adjusted_total,
    case when orders.customer_id is not null then
        row_number() over (
            partition by orders.customer_id, orders.source_relation
            order by orders.created_timestamp, orders.order_id
        )
    end as customer_order_seq_number,
    case
        when orders.customer_id is null then null
        when row_number() over (
            partition by orders.customer_id, orders.source_relation
            order by orders.created_timestamp, orders.order_id
        ) = 1 then 'new'
        else 'repeat'
    end as new_vs_repeat,
    cast(touch.event_id is not null as {{ dbt.type_boolean() }}) as is_attributed,
    touch.last_touch_campaign_id as last_touch_campaign_id,
    touch.last_touch_flow_id as last_touch_flow_id,
    touch.variation_id as last_touch_variation_id,
    touch.campaign_name as last_touch_campaign_name,
    touch.campaign_subject_line as last_touch_campaign_subject_line,
    touch.campaign_type as last_touch_campaign_type,
    touch.flow_name as last_touch_flow_name,
    case when touch.last_touch_campaign_id is not null then touch.interactions end as count_interactions_with_campaign,
    case when touch.last_touch_flow_id is not null then touch.interactions end as count_interactions_with_flow,
    touch.event_id as last_touch_event_id,
    touch.occurred_at as last_touch_event_occurred_at,
    touch.type as last_touch_event_type,
    touch.integration_name as last_touch_integration_name,
    touch.integration_category as last_touch_integration_category,
    orders.source_relation as shopify_source_relation,
    touch.source_relation as klaviyo_source_relation,
    {{ surrogate_key(['orders.order_id', 'orders.source_relation']) }} as unique_order_key
from {{ ref('stg_shopify__order') }} as orders
inner join {{ ref('int_shopify__order_amounts') }} as amounts
    on amounts.order_id = orders.order_id and amounts.source_relation = orders.source_relation
inner join {{ ref('int_shopify__order_labels') }} as labels
    on labels.order_id = orders.order_id and labels.source_relation = orders.source_relation
left join candidates as touch
    on touch.order_id = orders.order_id
    and touch.shopify_source_relation = orders.source_relation
    and touch.recency = 1
