{%- set texts = [
    'source_name', 'landing_site_base_url', 'name', 'note', 'cancel_reason', 'cart_token', 'checkout_token', 'currency',
    'financial_status', 'fulfillment_status', 'processing_method', 'referring_site', 'browser_ip', 'token',
    'client_details_user_agent', 'customer_locale', 'order_status_url', 'presentment_currency',
] %}
{%- set ids = ['customer_id', 'user_id', 'location_id', 'app_id', 'checkout_id', 'number', 'order_number'] %}
{%- set numbers = [
    'subtotal_price', 'total_discounts', 'total_line_items_price', 'total_price', 'total_tax', 'total_tip_received',
    'total_weight',
] %}
{%- set amounts_by_currency = [
    'total_discounts_set', 'total_line_items_price_set', 'total_price_set', 'total_shipping_price_set', 'total_tax_set',
] %}
{%- set addresses = [] %}
{%- for kind in ['billing', 'shipping'] %}
    {%- for part in [
        'address_1', 'address_2', 'city', 'company', 'country', 'country_code', 'first_name', 'last_name', 'latitude',
        'longitude', 'name', 'phone', 'province', 'province_code', 'zip',
    ] %}
        {%- do addresses.append(kind ~ '_address_' ~ part) %}
    {%- endfor %}
{%- endfor %}
{%- set renamed = {
    'id': ['order_id', 'id'],
    'created_at': ['created_timestamp', dbt.type_timestamp()],
    'updated_at': ['updated_timestamp', dbt.type_timestamp()],
    'processed_at': ['processed_timestamp', dbt.type_timestamp()],
    'cancelled_at': ['cancelled_timestamp', dbt.type_timestamp()],
    'closed_at': ['closed_timestamp', dbt.type_timestamp()],
    'buyer_accepts_marketing': ['has_buyer_accepted_marketing', dbt.type_boolean()],
    'taxes_included': ['has_taxes_included', dbt.type_boolean()],
    'confirmed': ['is_confirmed', dbt.type_boolean()],
    'test': ['is_test_order', dbt.type_boolean()],
    '_fivetran_deleted': ['is_deleted', dbt.type_boolean()],
    '_fivetran_synced': ['_fivetran_synced', dbt.type_timestamp()],
} %}
{%- set columns = [{'name': 'email', 'type': dbt.type_string()}] %}
{%- for names, type in [
    (texts + addresses, dbt.type_string()), (ids, 'id'), (numbers, dbt.type_numeric()), (amounts_by_currency, 'json'),
] %}
    {%- for name in names %}
        {%- do columns.append({'name': name, 'type': type}) %}
    {%- endfor %}
{%- endfor %}
{%- for name, (_, type) in renamed.items() %}
    {%- do columns.append({'name': name, 'type': type}) %}
{%- endfor %}
with source as (
    {{ source_rows('shopify', 'order', columns) }}
)

select
    lower(email) as email,
    {%- for name, (alias, _) in renamed.items() %}
    {{ quoted(name) }} as {{ alias }},
    {%- endfor %}
    {%- for name in ids + texts + numbers + amounts_by_currency + addresses %}
    {{ quoted(name) }} as {{ name }},
    {%- endfor %}
    source_relation
from source
where not coalesce(_fivetran_deleted, false) and not coalesce({{ quoted('test') }}, false)
