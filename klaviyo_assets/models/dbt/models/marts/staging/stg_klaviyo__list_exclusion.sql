with source as (
    {{ source_rows('klaviyo', 'list_exclusion', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'list_id', 'type': dbt.type_string()},
        {'name': 'created', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select id as person_id, list_id, created as excluded_at, source_relation
from source
where not coalesce(_fivetran_deleted, false)
