{{ config(
    materialized='incremental' if keeps_events() else 'table',
    incremental_strategy='append',
    unique_key=none,
    full_refresh=refreshes_in_place(),
    on_schema_change='sync_all_columns',
    pre_hook='{{ delete_outdated_order_lines() }}'
) }}

with items_of_events as (
    select event.*
    from {{ ref('stg_klaviyo__item_event') }} as event
    {% if is_incremental() %}
    left join (select distinct unique_event_id from {{ this }}) as model
        on model.unique_event_id = event.unique_event_id
    where model.unique_event_id is null
    {% endif %}
),

orders as (
    select
        unique_event_id,
        event_id,
        source_relation,
        type,
        order_id,
        items,
        {{ array_length('items') }} as number_of_items
    from items_of_events
    where is_product = 0 and items is not null
),

numbers as (
    {{ numbers() }}
),

items as (
    select
        orders.unique_event_id as unique_event_id,
        orders.event_id as event_id,
        orders.source_relation as source_relation,
        orders.type as type,
        orders.order_id as order_id,
        numbers.number + 1 as line_number,
        {{ array_item('orders.items', 'numbers.number') }} as item
    from orders
    cross join (select number from numbers where number < (select max(number_of_items) from orders)) as numbers
    where numbers.number < orders.number_of_items
),

lines as (
    select
        unique_event_id,
        event_id,
        source_relation,
        type,
        order_id,
        line_number,
        case
            when item like '"%' then {{ json_value(dbt.concat(["'{\"name\":'", 'item', "'}'"]), ['name']) }}
            else {{ json_first('item', ['title', 'name', 'Name', 'ProductName', 'Product Name', 'product_name']) }}
        end as product_name,
        {{ json_first('item', ['sku', 'SKU']) }} as sku,
        {{ json_first('item', ['product_id', 'ProductID', 'ProductId']) }} as product_id,
        {{ json_first('item', ['variant_id', 'VariantID', 'VariantId']) }} as variant_id,
        {{ number(json_first('item', ['quantity', 'Quantity', 'qty']), below='1000000000') }} as quantity,
        {{ number(json_first('item', ['price', 'Price', 'ItemPrice', 'item_price']), below='1000000000000') }} as unit_price,
        {{ number(json_first('item', ['RowTotal', 'row_total', 'line_price'])) }} as line_value
    from items

    union all

    select
        unique_event_id,
        event_id,
        source_relation,
        type,
        order_id,
        1 as line_number,
        product_name,
        sku,
        product_id,
        variant_id,
        quantity,
        unit_price,
        line_value
    from items_of_events
    where is_product = 1
)

select
    {{ surrogate_key(['lines.event_id', 'lines.source_relation', 'lines.line_number']) }} as order_line_key,
    lines.event_id as event_id,
    lines.unique_event_id as unique_event_id,
    lines.source_relation as source_relation,
    lines.type as type,
    lines.order_id as order_id,
    event.person_id as person_id,
    event.occurred_at as occurred_at,
    event.occurred_on as occurred_on,
    cast(lines.line_number as {{ dbt.type_bigint() }}) as line_number,
    lines.product_name as product_name,
    lines.sku as sku,
    lines.product_id as product_id,
    lines.variant_id as variant_id,
    coalesce(lines.quantity, 1) as quantity,
    coalesce(
        lines.unit_price,
        cast({{ rate('lines.line_value', 'coalesce(lines.quantity, 1)') }} as {{ dbt.type_numeric() }})
    ) as unit_price,
    coalesce(
        lines.line_value, cast(lines.unit_price * coalesce(lines.quantity, 1) as {{ dbt.type_numeric() }})
    ) as line_value,
    event.last_touch_type as message_type,
    event.last_touch_campaign_id as campaign_id,
    event.last_touch_flow_id as flow_id,
    event.variation_id as variation_id,
    event._fivetran_synced as _fivetran_synced
from lines
inner join {{ ref('klaviyo__events') }} as event
    on event.unique_event_id = lines.unique_event_id
