with source as (
    {{ source_rows('klaviyo', 'list', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'list_name', 'type': dbt.type_string()},
    ]) }}
)

select id as list_id, list_name, source_relation
from source
