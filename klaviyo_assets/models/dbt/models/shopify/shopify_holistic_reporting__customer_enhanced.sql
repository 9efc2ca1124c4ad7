with orders as (
    select
        lower(email) as email,
        shopify_source_relation,
        count(*) as lifetime_count_orders,
        min(created_timestamp) as first_order_at,
        max(created_timestamp) as last_order_at,
        sum(coalesce(total_price, 0)) as lifetime_total_spent,
        sum(refund_subtotal + refund_total_tax) as lifetime_total_refunded,
        sum(order_adjusted_total) as lifetime_total_amount
    from {{ ref('shopify_holistic_reporting__orders_attribution') }}
    where email is not null
    group by lower(email), shopify_source_relation
),

customers as (
    select
        *,
        lower(email) as lower_email,
        row_number() over (
            partition by lower(email), source_relation order by updated_timestamp desc, customer_id
        ) as recency
    from {{ ref('stg_shopify__customer') }}
    where email is not null
),

shopify as (
    select
        lower_email as email,
        source_relation,
        {{ dbt.listagg('customer_id', "', '", 'order by customer_id') }} as customer_ids,
        max(case when recency = 1 then full_name end) as full_name,
        max(case when recency = 1 then phone end) as phone,
        max(case when recency = 1 then account_state end) as account_state,
        max(case when recency = 1 then default_address_id end) as default_address_id,
        cast(max(case when recency = 1 and has_accepted_marketing then 1 else 0 end) = 1 as {{ dbt.type_boolean() }}) as has_accepted_marketing,
        cast(max(case when recency = 1 and is_tax_exempt then 1 else 0 end) = 1 as {{ dbt.type_boolean() }}) as is_tax_exempt,
        cast(max(case when recency = 1 and is_verified_email then 1 else 0 end) = 1 as {{ dbt.type_boolean() }}) as is_verified_email,
        min(created_timestamp) as first_created_at,
        max(created_timestamp) as last_created_at,
        max(updated_timestamp) as last_updated_at
    from customers
    group by lower_email, source_relation
),

persons as (
    select
        *,
        lower(email) as lower_email,
        row_number() over (partition by lower(email), source_relation order by updated_at desc, person_id) as recency
    from {{ ref('klaviyo__persons') }}
    where email is not null
),

klaviyo as (
    select
        lower_email as email,
        source_relation,
        {%- for name in [
            'person_id', 'full_name', 'phone_number', 'address_1', 'address_2', 'city', 'country', 'zip', 'latitude',
            'longitude', 'organization', 'region', 'timezone', 'title',
        ] %}
        max(case when recency = 1 then {{ name }} end) as {{ name }},
        {%- endfor %}
        min(created_at) as created_at,
        max(updated_at) as updated_at,
        sum(count_total_campaigns) as count_total_campaigns,
        sum(count_total_flows) as count_total_flows,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at,
        min(first_campaign_touch_at) as first_campaign_touch_at,
        max(last_campaign_touch_at) as last_campaign_touch_at,
        min(first_flow_touch_at) as first_flow_touch_at,
        max(last_flow_touch_at) as last_flow_touch_at
        {%- for column in metric_columns() %},
        sum(total_{{ column.name }}) as total_{{ column.name }}
        {%- if not column.is_count %},
        sum(organic_{{ column.name }}) as organic_{{ column.name }}
        {%- endif %}
        {%- endfor %}
    from persons
    group by lower_email, source_relation
)

select
    coalesce(klaviyo.email, shopify.email) as email,
    shopify.source_relation as shopify_source_relation,
    klaviyo.source_relation as klaviyo_source_relation,
    coalesce(shopify.full_name, klaviyo.full_name) as full_name,
    coalesce(shopify.phone, klaviyo.phone_number) as phone_number,
    shopify.customer_ids as shopify_customer_ids,
    shopify.has_accepted_marketing as shopify_has_accepted_marketing,
    shopify.first_created_at as shopify_customer_first_created_at,
    shopify.last_created_at as shopify_customer_last_created_at,
    shopify.last_updated_at as shopify_customer_last_updated_at,
    shopify.default_address_id as shopify_default_address_id,
    shopify.account_state as shopify_account_state,
    shopify.is_tax_exempt as shopify_is_tax_exempt,
    shopify.is_verified_email as is_shopify_email_verified,
    coalesce(orders.lifetime_count_orders, 0) as shopify_lifetime_count_orders,
    orders.first_order_at as shopify_first_order_at,
    orders.last_order_at as shopify_last_order_at,
    orders.lifetime_total_spent / nullif(orders.lifetime_count_orders, 0) as shopify_average_order_value,
    coalesce(orders.lifetime_total_spent, 0) as shopify_lifetime_total_spent,
    coalesce(orders.lifetime_total_refunded, 0) as shopify_lifetime_total_refunded,
    coalesce(orders.lifetime_total_amount, 0) as shopify_lifetime_total_amount,
    klaviyo.created_at as klaviyo_person_created_at,
    klaviyo.updated_at as klaviyo_person_updated_at,
    {%- for name in [
        'person_id', 'address_1', 'address_2', 'city', 'country', 'zip', 'latitude', 'longitude', 'organization',
        'region', 'timezone', 'title', 'first_event_at', 'last_event_at', 'first_campaign_touch_at',
        'last_campaign_touch_at', 'first_flow_touch_at', 'last_flow_touch_at',
    ] %}
    klaviyo.{{ name }} as klaviyo_{{ name }},
    {%- endfor %}
    coalesce(klaviyo.count_total_campaigns, 0) as klaviyo_count_total_campaigns,
    coalesce(klaviyo.count_total_flows, 0) as klaviyo_count_total_flows
    {%- for column in metric_columns() %},
    coalesce(klaviyo.total_{{ column.name }}, 0) as klaviyo_total_{{ column.name }}
    {%- if not column.is_count %},
    coalesce(klaviyo.organic_{{ column.name }}, 0) as klaviyo_organic_{{ column.name }}
    {%- endif %}
    {%- endfor %}
from klaviyo
full outer join shopify
    on shopify.email = klaviyo.email
left join orders
    on orders.email = shopify.email and orders.shopify_source_relation = shopify.source_relation
