with source as (
    {{ source_rows('klaviyo', 'event', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'campaign_id', 'type': dbt.type_string()},
        {'name': 'flow_id', 'type': dbt.type_string()},
        {'name': 'flow_message_id', 'type': dbt.type_string()},
        {'name': 'person_id', 'type': dbt.type_string()},
        {'name': '_variation', 'type': dbt.type_string()},
        {'name': 'timestamp', 'or': ['datetime'], 'type': dbt.type_timestamp()},
        {'name': 'type', 'type': dbt.type_string()},
        {'name': 'property_message_interaction', 'type': dbt.type_string()},
        {'name': 'property_machine_open', 'type': dbt.type_string()},
        {'name': 'property_bot_click', 'type': dbt.type_string()},
        {'name': 'property_inbox_provider', 'type': dbt.type_string()},
        {'name': 'property_email_domain', 'type': dbt.type_string()},
        {'name': 'property_bounce_type', 'type': dbt.type_string()},
        {'name': 'property_subject', 'type': dbt.type_string()},
        {'name': 'custom_property_fields', 'type': 'json'},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    id as event_id,
    {{ surrogate_key(['id', 'source_relation']) }} as unique_event_id,
    source_relation,
    nullif(campaign_id, '') as campaign_id,
    case when nullif(campaign_id, '') is null then nullif(flow_id, '') end as flow_id,
    case when nullif(campaign_id, '') is null then nullif(flow_message_id, '') end as flow_message_id,
    {{ property('property_message_interaction', '$message_interaction') }} as campaign_message_id,
    _variation as variation_id,
    person_id,
    type,
    {{ message_channel('type') }} as channel,
    {{ message_action('type') }} as action,
    {{ quoted('timestamp') }} as occurred_at,
    {{ day_of(quoted('timestamp')) }} as occurred_on,
    {{ is_yes(property('property_machine_open', 'machine_open')) }} as is_machine_open,
    {{ is_yes(property('property_bot_click', 'Bot Click')) }} as is_bot_click,
    {{ property('property_inbox_provider', 'Inbox Provider') }} as inbox_provider,
    lower({{ property('property_email_domain', 'Email Domain') }}) as email_domain,
    lower({{ property('property_bounce_type', 'Bounce Type') }}) as bounce_type,
    {{ property('property_subject', 'Subject') }} as subject
from source
where not coalesce(_fivetran_deleted, false)
    and coalesce(nullif(campaign_id, ''), nullif(flow_id, '')) is not null
