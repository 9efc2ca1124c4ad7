with source as (
    {{ source_rows('klaviyo', '_sync_state', [
        {'name': 'table', 'type': dbt.type_string()},
        {'name': 'scope', 'type': dbt.type_string()},
        {'name': 'synced_from', 'type': dbt.type_timestamp()},
        {'name': 'synced_through', 'type': dbt.type_timestamp()},
    ]) }}
)

select {{ quoted('table') }} as table_name, synced_from, synced_through, source_relation
from source
where scope = ''
