with source as (
    {{ source_rows('klaviyo', 'metric', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'name', 'type': dbt.type_string()},
        {'name': 'created', 'type': dbt.type_timestamp()},
        {'name': 'updated', 'type': dbt.type_timestamp()},
        {'name': 'integration_id', 'type': dbt.type_string()},
        {'name': 'integration_name', 'type': dbt.type_string()},
        {'name': 'integration_category', 'type': dbt.type_string()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    id as metric_id,
    name as metric_name,
    created as created_at,
    updated as updated_at,
    integration_id,
    integration_name,
    integration_category,
    source_relation
from source
where not coalesce(_fivetran_deleted, false)
