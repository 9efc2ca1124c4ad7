with source as (
    {{ source_rows('klaviyo', 'event', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'campaign_id', 'type': dbt.type_string()},
        {'name': 'flow_id', 'type': dbt.type_string()},
        {'name': 'flow_message_id', 'type': dbt.type_string()},
        {'name': 'metric_id', 'type': dbt.type_string()},
        {'name': 'person_id', 'type': dbt.type_string()},
        {'name': '_variation', 'type': dbt.type_string()},
        {'name': 'timestamp', 'or': ['datetime'], 'type': dbt.type_timestamp()},
        {'name': 'type', 'type': dbt.type_string()},
        {'name': 'uuid', 'type': dbt.type_string()},
        {'name': 'property_value', 'or': ['propertyvalue'], 'type': dbt.type_string()},
        {'name': 'property_attribution', 'or': ['propertyattribution'], 'type': 'json'},
        {'name': '_fivetran_synced', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ], pass_through('klaviyo__event_pass_through_columns')) }}
)

select
    _variation as variation_id,
    nullif(campaign_id, '') as campaign_id,
    {{ quoted('timestamp') }} as occurred_at,
    nullif(flow_id, '') as flow_id,
    nullif(flow_message_id, '') as flow_message_id,
    id as event_id,
    metric_id,
    person_id,
    type,
    uuid,
    {{ number('property_value') }} as numeric_value,
    property_attribution as event_attribution,
    _fivetran_synced,
    {{ day_of(quoted('timestamp')) }} as occurred_on,
    {{ surrogate_key(['id', 'source_relation']) }} as unique_event_id,
    source_relation
    {{- select_pass_through('klaviyo', 'event', pass_through('klaviyo__event_pass_through_columns')) }}
from source
where not coalesce(_fivetran_deleted, false)
