with what_happened as (
    {{ what_happened(ref('message_events'), ref('order_credits')) }}
),

of_people as (
    {%- for date_type, day in [('send_date', 'sent_on'), ('event_date', 'occurred_on')] %}
    {%- set date_loop = loop %}
    {%- for period in periods() %}
    {{ 'union all' if not (loop.first and date_loop.first) }}
    select
        source_relation,
        message_id,
        channel,
        '{{ date_type }}' as date_type,
        '{{ period }}' as period,
        {{ first_day(period, day) }} as period_start,
        person_id,
        max(message_type) as message_type,
        max(campaign_id) as campaign_id,
        max(flow_id) as flow_id
        {{- sums_of_figures() }}
    from what_happened
    group by source_relation, message_id, channel, {{ first_day(period, day) }}, person_id
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
        {{- figures_of_people() }}
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
    {{- select_figures('performance') }},
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
