with source as (
    {{ source_rows('klaviyo', 'flow', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'name', 'type': dbt.type_string()},
        {'name': 'status', 'type': dbt.type_string()},
        {'name': 'archived', 'type': dbt.type_boolean()},
        {'name': 'created', 'type': dbt.type_timestamp()},
        {'name': 'trigger_type', 'type': dbt.type_string()},
        {'name': 'updated', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    created as created_at,
    id as flow_id,
    name as flow_name,
    status,
    updated as updated_at,
    archived as is_archived,
    trigger_type,
    source_relation
from source
where not coalesce(_fivetran_deleted, false)
