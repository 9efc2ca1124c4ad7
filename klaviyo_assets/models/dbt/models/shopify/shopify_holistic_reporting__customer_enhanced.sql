{%- set known = [
    'last_event_date', 'address_1', 'address_2', 'city', 'country', 'zip', 'latitude', 'longitude', 'organization',
    'region', 'timezone', 'title', 'person_id', 'first_event_at', 'last_event_at', 'first_campaign_touch_at',
    'last_campaign_touch_at', 'first_flow_touch_at', 'last_flow_touch_at',
] + (pass_through('klaviyo__person_pass_through_columns') | map(attribute='alias') | list) %}
select
    coalesce(shopify.email, klaviyo.email) as email,
    coalesce(klaviyo.full_name, shopify.full_name) as full_name,
    shopify.customer_ids as shopify_customer_ids,
    klaviyo.person_ids as klaviyo_person_ids,
    coalesce(shopify.phone_numbers, klaviyo.phone_numbers) as phone_number,
    shopify.first_account_created_at as shopify_customer_first_created_at,
    shopify.last_account_created_at as shopify_customer_last_created_at,
    klaviyo.first_klaviyo_account_made_at as klaviyo_person_first_created_at,
    klaviyo.last_klaviyo_account_made_at as klaviyo_person_last_created_at,
    shopify.last_updated_at as shopify_customer_last_updated_at,
    klaviyo.last_updated_at as klaviyo_person_last_updated_at,
    shopify.is_verified_email as is_shopify_email_verified,
    orders.first_order_timestamp as shopify_first_order_at,
    orders.most_recent_order_timestamp as shopify_last_order_at,
    {%- for name in [
        'customer_tags', 'marketing_consent_updated_at', 'last_fivetran_synced', 'is_tax_exempt', 'default_address_id',
        'account_state', 'note', 'currency', 'marketing_consent_state', 'marketing_opt_in_level',
        'has_accepted_marketing', 'lifetime_abandoned_checkouts',
    ] %}
    shopify.{{ name }} as shopify_{{ name }},
    {%- endfor %}
    {%- for name in [
        'first_order_timestamp', 'most_recent_order_timestamp', 'avg_order_value', 'avg_quantity_per_order',
        'avg_tax_per_order', 'avg_discount_per_order', 'avg_shipping_per_order', 'avg_shipping_with_discounts_per_order',
        'avg_shipping_tax_per_order',
    ] %}
    orders.{{ name }} as shopify_{{ name }},
    {%- endfor %}
    {%- for name in [
        'count_orders', 'total_spent', 'total_refunded', 'total_net', 'total_amount', 'total_tax', 'total_discount',
        'total_shipping', 'total_shipping_with_discounts', 'total_shipping_tax',
    ] %}
    coalesce(orders.lifetime_{{ name }}, 0) as shopify_lifetime_{{ name }},
    {%- endfor %}
    shopify.source_relation as shopify_source_relation,
    {%- for name in known %}
    klaviyo.{{ name }} as klaviyo_{{ name }},
    {%- endfor %}
    coalesce(klaviyo.count_total_campaigns, 0) as klaviyo_count_total_campaigns,
    coalesce(klaviyo.count_total_flows, 0) as klaviyo_count_total_flows,
    {%- for column in metric_columns() %}
    coalesce(klaviyo.total_{{ column.name }}, 0) as klaviyo_total_{{ column.name }},
    {%- if not column.is_count %}
    coalesce(klaviyo.organic_{{ column.name }}, 0) as klaviyo_organic_{{ column.name }},
    {%- endif %}
    {%- endfor %}
    klaviyo.source_relation as klaviyo_source_relation
from {{ ref('int_klaviyo__addresses') }} as klaviyo
full outer join {{ ref('int_shopify__customers') }} as shopify
    on shopify.email = klaviyo.email
left join {{ ref('int_shopify__customer_orders') }} as orders
    on orders.email = coalesce(shopify.email, klaviyo.email)
