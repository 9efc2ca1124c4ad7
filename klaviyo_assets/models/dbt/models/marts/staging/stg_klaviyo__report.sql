{%- set figures = [] -%}
{%- for statistic in compared_statistics() -%}
    {%- do figures.append({'name': statistic.name, 'type': type_double()}) -%}
{%- endfor -%}
{%- set shared = [
    {'name': 'send_channel', 'type': dbt.type_string()},
    {'name': 'conversion_metric_id', 'type': dbt.type_string()},
    {'name': '_fivetran_synced', 'type': dbt.type_timestamp()},
    {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
] + figures -%}
with campaigns as (
    {{ source_rows('klaviyo', 'campaign_report', [
        {'name': 'campaign_id', 'type': dbt.type_string()},
        {'name': 'campaign_message_id', 'type': dbt.type_string()},
    ] + shared) }}
),

flows as (
    {{ source_rows('klaviyo', 'flow_report', [
        {'name': 'date', 'type': type_date()},
        {'name': 'flow_id', 'type': dbt.type_string()},
        {'name': 'flow_message_id', 'type': dbt.type_string()},
    ] + shared) }}
),

reports as (
    select
        'campaign' as message_type,
        'campaign_report' as table_name,
        campaign_id,
        cast(null as {{ dbt.type_string() }}) as flow_id,
        campaign_message_id as message_id,
        {{ no_day() }} as report_day,
        send_channel,
        conversion_metric_id,
        _fivetran_synced,
        source_relation
        {%- for figure in figures %},
        {{ figure.name }}
        {%- endfor %}
    from campaigns
    where not coalesce(_fivetran_deleted, false)

    union all

    select
        'flow' as message_type,
        'flow_report' as table_name,
        cast(null as {{ dbt.type_string() }}) as campaign_id,
        flow_id,
        flow_message_id as message_id,
        {{ quoted('date') }} as report_day,
        send_channel,
        conversion_metric_id,
        _fivetran_synced,
        source_relation
        {%- for figure in figures %},
        {{ figure.name }}
        {%- endfor %}
    from flows
    where not coalesce(_fivetran_deleted, false)
)

select
    source_relation,
    message_type,
    table_name,
    campaign_id,
    flow_id,
    message_id,
    report_day,
    case when conversion_metric_id not like 'hmac-sha256:%' then conversion_metric_id end as conversion_metric_id,
    _fivetran_synced
    {%- for figure in figures %},
    {{ figure.name }}
    {%- endfor %},
    case
        when send_channel = 'sms' then 'text'
        when send_channel like '%push%' then 'push'
        else send_channel
    end as channel
from reports
where message_id is not null
