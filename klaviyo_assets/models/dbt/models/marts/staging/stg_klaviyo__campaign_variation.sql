with source as (
    {{ source_rows('klaviyo', 'campaign_variation', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'campaign_message_id', 'type': dbt.type_string()},
        {'name': 'name', 'type': dbt.type_string()},
        {'name': 'subject', 'type': dbt.type_string()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    id as variation_id,
    campaign_message_id as message_id,
    name as variation_name,
    subject,
    source_relation
from source
where not coalesce(_fivetran_deleted, false)
