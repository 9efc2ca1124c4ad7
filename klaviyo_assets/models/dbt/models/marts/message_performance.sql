{%- set figures = message_figures() %}
{%- set credits = order_figures() %}
with what_happened as (
    select
        source_relation,
        message_type,
        campaign_id,
        flow_id,
        message_id,
        channel,
        person_id,
        sent_on as send_date,
        occurred_on as event_date
        {%- for figure in figures %},
        case when {{ figure.is }} then 1 else 0 end as {{ figure.name }}
        {%- endfor %}
        {%- for credit in credits %},
        0 as orders{{ credit.suffix }},
        cast(0 as {{ dbt.type_numeric() }}) as revenue{{ credit.suffix }}
        {%- endfor %}
    from {{ ref('message_events') }}
    where action <> 'other'

    union all

    select
        source_relation,
        message_type,
        campaign_id,
        flow_id,
        message_id,
        channel,
        person_id,
        sent_on as send_date,
        occurred_on as event_date
        {%- for figure in figures %},
        0 as {{ figure.name }}
        {%- endfor %}
        {%- for credit in credits %},
        case when credited_by = '{{ credit.credited_by }}' then 1 else 0 end as orders{{ credit.suffix }},
        case when credited_by = '{{ credit.credited_by }}' then order_value else 0 end as revenue{{ credit.suffix }}
        {%- endfor %}
    from {{ ref('order_credits') }}
    where message_id is not null
),

of_people as (
    {%- for date_type in ['send_date', 'event_date'] %}
    {%- set date_loop = loop %}
    {%- for period in periods() %}
    {{ 'union all' if not (loop.first and date_loop.first) }}
    select
        source_relation,
        message_id,
        channel,
        '{{ date_type }}' as date_type,
        '{{ period }}' as period,
        {{ first_day(period, date_type) }} as period_start,
        person_id,
        max(message_type) as message_type,
        max(campaign_id) as campaign_id,
        max(flow_id) as flow_id
        {%- for figure in figures %},
        sum({{ figure.name }}) as {{ figure.name }}
        {%- endfor %}
        {%- for credit in credits %},
        sum(orders{{ credit.suffix }}) as orders{{ credit.suffix }},
        sum(revenue{{ credit.suffix }}) as revenue{{ credit.suffix }}
        {%- endfor %}
    from what_happened
    group by source_relation, message_id, channel, {{ first_day(period, date_type) }}, person_id
    {%- endfor %}
    {%- endfor %}
),

performance as (
    select
        source_relation,
        message_id,
        channel,
        date_type,
        period,
        period_start,
        max(message_type) as message_type,
        max(campaign_id) as campaign_id,
        max(flow_id) as flow_id
        {%- for figure in figures %},
        {{ total(figure.name) }} as {{ figure.name }},
        count(case when {{ figure.name }} > 0 then person_id end) as unique_{{ figure.name }}
        {%- endfor %}
        {%- for credit in credits %},
        {{ total('orders' ~ credit.suffix) }} as orders{{ credit.suffix }},
        count(case when orders{{ credit.suffix }} > 0 then person_id end) as unique_orders{{ credit.suffix }},
        {{ total_value('revenue' ~ credit.suffix) }} as revenue{{ credit.suffix }}
        {%- endfor %}
    from of_people
    group by source_relation, message_id, channel, date_type, period, period_start
)

select
    {{ surrogate_key([
        'performance.source_relation', 'performance.message_id', 'performance.channel', 'date_type', 'period', 'period_start'
    ]) }} as message_performance_key,
    performance.source_relation as source_relation,
    performance.message_type as message_type,
    performance.campaign_id as campaign_id,
    campaign.campaign_name as campaign_name,
    performance.flow_id as flow_id,
    flow.flow_name as flow_name,
    performance.message_id as message_id,
    coalesce(flow_message.message_name, campaign_message.message_name, campaign.campaign_name) as message_name,
    coalesce(flow_message.subject, campaign_message.subject, campaign.subject) as subject,
    performance.channel as channel,
    performance.date_type as date_type,
    performance.period as period,
    performance.period_start as period_start,
    delivered + bounced + failed as sent
    {%- for figure in figures %},
    {{ figure.name }},
    unique_{{ figure.name }}
    {%- endfor %}
    {%- for credit in credits %},
    orders{{ credit.suffix }},
    unique_orders{{ credit.suffix }},
    revenue{{ credit.suffix }}
    {%- endfor %},
    {{ message_rates() }},
    {{ rate('unique_orders', 'delivered') }} as order_rate,
    {{ rate('revenue', 'delivered') }} as revenue_per_delivered
from performance
left join {{ ref('stg_klaviyo__campaign') }} as campaign
    on campaign.campaign_id = performance.campaign_id and campaign.source_relation = performance.source_relation
left join {{ ref('stg_klaviyo__flow') }} as flow
    on flow.flow_id = performance.flow_id and flow.source_relation = performance.source_relation
left join {{ ref('stg_klaviyo__campaign_message') }} as campaign_message
    on campaign_message.message_id = performance.message_id
    and campaign_message.source_relation = performance.source_relation
left join {{ ref('stg_klaviyo__flow_message') }} as flow_message
    on flow_message.message_id = performance.message_id and flow_message.source_relation = performance.source_relation
