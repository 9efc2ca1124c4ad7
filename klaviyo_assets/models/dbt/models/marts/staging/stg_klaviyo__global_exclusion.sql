with source as (
    {{ source_rows('klaviyo', 'global_exclusion', [
        {'name': 'person_id', 'type': dbt.type_string()},
        {'name': 'reason', 'type': dbt.type_string()},
        {'name': 'timestamp', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select person_id, reason, {{ quoted('timestamp') }} as excluded_at, source_relation
from source
where not coalesce(_fivetran_deleted, false)
