with source as (
    {{ source_rows('klaviyo', 'event', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'type', 'type': dbt.type_string()},
        {'name': 'property_value', 'or': ['propertyvalue'], 'type': dbt.type_string()},
        {'name': 'property_event_id', 'type': dbt.type_string()},
        {'name': 'property_order_id', 'type': dbt.type_string()},
        {'name': 'property_extra', 'type': 'json'},
        {'name': 'property_line_items', 'type': 'json'},
        {'name': 'property_items', 'type': 'json'},
        {'name': 'property_name', 'type': dbt.type_string()},
        {'name': 'property_product_name', 'type': dbt.type_string()},
        {'name': 'property_sku', 'type': dbt.type_string()},
        {'name': 'property_product_id', 'type': dbt.type_string()},
        {'name': 'property_variant_id', 'type': dbt.type_string()},
        {'name': 'property_quantity', 'type': dbt.type_string()},
        {'name': 'property_item_price', 'type': dbt.type_string()},
        {'name': 'property_price', 'type': dbt.type_string()},
        {'name': 'custom_property_fields', 'type': 'json'},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
),

items as (
    select
        *,
        {{ json_property('property_extra', '$extra') }} as extra
    from source
    where not coalesce(_fivetran_deleted, false)
        and ({{ is_metric('type', var('klaviyo__conversion_metric')) }} or {{ is_metric('type', 'Ordered Product') }})
),

places as (
    select
        *,
        {{ json_member('extra', 'line_items') }} as items_1,
        {{ json_member('extra', 'Items') }} as items_2,
        {{ json_member('extra', 'items') }} as items_3,
        {{ json_property('property_line_items', 'line_items') }} as items_4,
        {{ json_property('property_items', 'Items') }} as items_5
    from items
)

select
    {{ surrogate_key(['id', 'source_relation']) }} as unique_event_id,
    id as event_id,
    source_relation,
    type,
    case when {{ is_metric('type', 'Ordered Product') }} then 1 else 0 end as is_product,
    case
        when {{ is_metric('type', 'Ordered Product') }} then null
        {%- for number in range(1, 6) %}
        when {{ array_length('items_' ~ number) }} > 0 then items_{{ number }}
        {%- endfor %}
    end as items,
    case
        when {{ is_metric('type', 'Ordered Product') }} then {{ property('property_order_id', 'OrderId') }}
        else coalesce({{ property('property_order_id', 'OrderId') }}, {{ property('property_event_id', '$event_id') }})
    end as order_id,
    coalesce(
        {{ property('property_name', 'Name') }}, {{ property('property_product_name', 'ProductName') }}
    ) as product_name,
    {{ property('property_sku', 'SKU') }} as sku,
    {{ property('property_product_id', 'ProductID') }} as product_id,
    {{ property('property_variant_id', 'VariantID') }} as variant_id,
    {{ number(property('property_quantity', 'Quantity'), below='1000000000') }} as quantity,
    {{ number(
        'coalesce(' ~ property('property_item_price', 'ItemPrice') ~ ', ' ~ property('property_price', 'Price') ~ ')',
        below='1000000000000'
    ) }} as unit_price,
    {{ number('property_value') }} as line_value
from places
