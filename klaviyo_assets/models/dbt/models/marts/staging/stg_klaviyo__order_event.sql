with source as (
    {{ source_rows('klaviyo', 'event', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'person_id', 'type': dbt.type_string()},
        {'name': 'timestamp', 'or': ['datetime'], 'type': dbt.type_timestamp()},
        {'name': 'type', 'type': dbt.type_string()},
        {'name': 'property_value', 'or': ['propertyvalue'], 'type': dbt.type_string()},
        {'name': 'property_event_id', 'type': dbt.type_string()},
        {'name': 'property_order_id', 'type': dbt.type_string()},
        {'name': 'custom_property_fields', 'type': 'json'},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    id as event_id,
    source_relation,
    person_id,
    type,
    case
        when {{ is_metric('type', var('klaviyo__conversion_metric')) }} then 'placed'
        when {{ is_metric('type', 'Cancelled Order') }} then 'cancelled'
        when {{ is_metric('type', 'Refunded Order') }} then 'refunded'
    end as step,
    {{ quoted('timestamp') }} as occurred_at,
    coalesce({{ property('property_order_id', 'OrderId') }}, {{ property('property_event_id', '$event_id') }}) as order_id,
    {{ number('property_value') }} as order_value
from source
where not coalesce(_fivetran_deleted, false)
    and (
        {{ is_metric('type', var('klaviyo__conversion_metric')) }}
        or {{ is_metric('type', 'Cancelled Order') }}
        or {{ is_metric('type', 'Refunded Order') }}
    )
