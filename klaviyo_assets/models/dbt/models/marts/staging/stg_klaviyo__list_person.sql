with source as (
    {{ source_rows('klaviyo', 'list_person', [
        {'name': 'list_id', 'type': dbt.type_string()},
        {'name': 'person_id', 'type': dbt.type_string()},
        {'name': 'joined_group_at', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_synced', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    list_id,
    person_id,
    source_relation,
    joined_group_at as joined_at,
    case when coalesce(_fivetran_deleted, false) then _fivetran_synced end as missed_at
from source
