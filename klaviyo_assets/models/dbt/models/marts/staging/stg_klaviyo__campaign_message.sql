with source as (
    {{ source_rows('klaviyo', 'campaign_message', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'campaign_id', 'type': dbt.type_string()},
        {'name': 'label', 'type': dbt.type_string()},
        {'name': 'content_subject', 'type': dbt.type_string()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    id as message_id,
    campaign_id,
    label as message_name,
    content_subject as subject,
    source_relation
from source
where not coalesce(_fivetran_deleted, false)
