with source as (
    {{ source_rows('klaviyo', 'campaign', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'name', 'type': dbt.type_string()},
        {'name': 'campaign_type', 'type': dbt.type_string()},
        {'name': 'created', 'type': dbt.type_timestamp()},
        {'name': 'email_template_id', 'type': dbt.type_string()},
        {'name': 'from_email', 'type': dbt.type_string()},
        {'name': 'from_name', 'type': dbt.type_string()},
        {'name': 'scheduled', 'type': dbt.type_timestamp()},
        {'name': 'send_time', 'type': dbt.type_timestamp()},
        {'name': 'sent_at', 'type': dbt.type_timestamp()},
        {'name': 'status', 'type': dbt.type_string()},
        {'name': 'status_id', 'type': dbt.type_string()},
        {'name': 'status_label', 'type': dbt.type_string()},
        {'name': 'subject', 'type': dbt.type_string()},
        {'name': 'archived', 'type': dbt.type_boolean()},
        {'name': 'updated', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    campaign_type,
    created as created_at,
    email_template_id,
    from_email,
    from_name,
    id as campaign_id,
    coalesce(name, subject) as campaign_name,
    send_time as scheduled_to_send_at,
    sent_at,
    coalesce(status, lower(status_label)) as status,
    status_id,
    subject,
    updated as updated_at,
    archived as is_archived,
    scheduled as scheduled_at,
    source_relation
from source
where not coalesce(_fivetran_deleted, false)
