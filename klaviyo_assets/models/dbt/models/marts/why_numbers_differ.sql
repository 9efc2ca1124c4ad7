{%- set steps = difference_steps() -%}
{%- set counted_steps = range(1, steps | length) -%}
{%- set last = steps | length -%}
{%- set key = ['source_relation', 'message_id', 'report_day'] -%}
with stamped as (
    select
        report.source_relation as source_relation,
        report.message_type as message_type,
        report.message_id as message_id,
        report.report_day as report_day,
        report.campaign_id as campaign_id,
        report.flow_id as flow_id,
        report.channel as channel,
        report.conversion_metric_id as conversion_metric_id,
        report._fivetran_synced as loaded_at,
        state.synced_through as read_at,
        max(report._fivetran_synced) over (partition by report.source_relation, report.table_name) as last_loaded_at
        {%- for statistic in compared_statistics() %},
        report.{{ statistic.name }} as {{ statistic.name }}
        {%- endfor %}
    from {{ ref('stg_klaviyo__report') }} as report
    left join {{ ref('stg_klaviyo__sync_state') }} as state
        on state.table_name = report.table_name and state.source_relation = report.source_relation
),

-- Of the rows of the last read its state knows when that began, by Klaviyo's clock; those of earlier ones have the stamp
-- of their load.
reports as (
    select
        source_relation,
        message_type,
        message_id,
        report_day,
        max(campaign_id) as campaign_id,
        max(flow_id) as flow_id,
        max(channel) as channel,
        max(conversion_metric_id) as conversion_metric_id,
        max(case when loaded_at = last_loaded_at then coalesce(read_at, loaded_at) else loaded_at end) as reported_at
        {%- for statistic in compared_statistics() %},
        sum({{ statistic.name }}) as {{ statistic.name }}
        {%- endfor %}
    from stamped
    group by source_relation, message_type, message_id, report_day
),

-- Each order with both credits. Where they differ, the step in which the credit moves is that of what the settings say of
-- the touch in the event. Of a deleted profile only the event tells.
orders as (
    select
        by_event.source_relation as source_relation,
        by_event.person_id as person_id,
        by_event.occurred_at as occurred_at,
        by_event.order_value as order_value,
        by_event.cancelled_at as cancelled_at,
        by_event.message_type as event_message_type,
        by_event.message_id as event_message_id,
        by_event.sent_at as event_sent_at,
        by_event.sent_on as event_sent_on,
        by_window.message_type as window_message_type,
        by_window.message_id as window_message_id,
        by_window.sent_at as window_sent_at,
        by_window.sent_on as window_sent_on,
        event.metric_id as metric_id,
        case
            when by_event.person_id is null
                or coalesce(by_event.touch_event_id, '') = coalesce(by_window.touch_event_id, '')
                then {{ no_step() }}
            {%- if var('klaviyo__exclude_machine_opens') %}
            when by_event.touch_is_machine_open = 1 then {{ step_number('machine_opens') }}
            {%- endif %}
            {%- if var('klaviyo__exclude_bot_clicks') %}
            when by_event.touch_is_bot_click = 1 then {{ step_number('bot_clicks') }}
            {%- endif %}
            else {{ step_number('attribution_window') }}
        end as moved_in
    from {{ ref('order_credits') }} as by_event
    inner join {{ ref('order_credits') }} as by_window
        on by_window.unique_event_id = by_event.unique_event_id and by_window.credited_by = 'window'
    left join {{ ref('klaviyo__events') }} as event
        on event.unique_event_id = by_event.unique_event_id
    where by_event.credited_by = 'event'
),

-- from_step, until_step: what is counted in which of the steps from ours to Klaviyo's.
happened as (
    select
        source_relation,
        message_type,
        message_id,
        sent_at,
        sent_on,
        person_id,
        case when person_id is null then email_domain end as domain_of_nobody,
        action as what,
        occurred_at,
        cast(null as {{ dbt.type_string() }}) as metric_id,
        cast(null as {{ dbt.type_timestamp() }}) as cancelled_at,
        cast(0 as {{ dbt.type_numeric() }}) as order_value,
        0 as from_step,
        case
            {%- if var('klaviyo__exclude_machine_opens') %}
            when action = 'opened' and is_machine_open = 1 then {{ step_number('machine_opens') }}
            {%- endif %}
            {%- if var('klaviyo__exclude_bot_clicks') %}
            when action = 'clicked' and is_bot_click = 1 then {{ step_number('bot_clicks') }}
            {%- endif %}
            when 1 = 1 then {{ no_step() }}
        end as until_step
    from {{ ref('message_events') }}

    union all

    select
        source_relation,
        event_message_type as message_type,
        event_message_id as message_id,
        event_sent_at as sent_at,
        event_sent_on as sent_on,
        person_id,
        cast(null as {{ dbt.type_string() }}) as domain_of_nobody,
        'ordered' as what,
        occurred_at,
        metric_id,
        cancelled_at,
        order_value,
        0 as from_step,
        moved_in as until_step
    from orders
    where event_message_id is not null

    union all

    select
        source_relation,
        window_message_type as message_type,
        window_message_id as message_id,
        window_sent_at as sent_at,
        window_sent_on as sent_on,
        person_id,
        cast(null as {{ dbt.type_string() }}) as domain_of_nobody,
        'ordered' as what,
        occurred_at,
        metric_id,
        cancelled_at,
        order_value,
        moved_in as from_step,
        {{ no_step() }} as until_step
    from orders
    where window_message_id is not null and moved_in < {{ no_step() }}
),

dated as (
    select
        *,
        case when message_type = 'flow' then sent_on else {{ no_day() }} end as utc_day,
        case
            when message_type = 'flow' then {{ account_day('sent_at', ref('stg_klaviyo__account')) }}
            else {{ no_day() }}
        end as account_day
    from happened
),

-- Ours, as message_performance has it: of the UTC days that are in the report.
our_people as (
    select
        dated.source_relation as source_relation,
        dated.message_id as message_id,
        dated.utc_day as report_day,
        dated.what as what,
        dated.person_id as person_id,
        count(*) as events,
        sum(dated.order_value) as order_value
    from dated
    inner join reports
        on reports.source_relation = dated.source_relation
        and reports.message_id = dated.message_id
        and reports.report_day = dated.utc_day
    where dated.from_step = 0
    group by dated.source_relation, dated.message_id, dated.utc_day, dated.what, dated.person_id
),

ours as (
    select
        source_relation,
        message_id,
        report_day,
        what,
        sum(events) as events,
        count(person_id) as people,
        sum(order_value) as order_value
    from our_people
    group by source_relation, message_id, report_day, what
),

reported as (
    select
        dated.source_relation as source_relation,
        dated.message_id as message_id,
        dated.account_day as report_day,
        dated.what as what,
        dated.person_id as person_id,
        dated.domain_of_nobody as domain_of_nobody,
        dated.order_value as order_value,
        dated.from_step as from_step,
        case
            when dated.metric_id <> reports.conversion_metric_id then {{ step_number('conversion_metric') }}
            when dated.until_step < {{ no_step() }} then dated.until_step
            {%- if var('klaviyo__exclude_cancelled_orders') %}
            when dated.cancelled_at <= reports.reported_at then {{ step_number('cancelled_orders') }}
            {%- endif %}
            when dated.occurred_at > reports.reported_at then {{ step_number('events_after_report') }}
            else {{ no_step() }}
        end as until_step
    from dated
    inner join reports
        on reports.source_relation = dated.source_relation
        and reports.message_id = dated.message_id
        and reports.report_day = dated.account_day
),

stepwise_people as (
    select
        source_relation,
        message_id,
        report_day,
        what,
        person_id,
        domain_of_nobody
        {%- for step in counted_steps %},
        sum(case when from_step <= {{ step }} and until_step > {{ step }} then 1 else 0 end) as events_{{ step }},
        sum(case when from_step <= {{ step }} and until_step > {{ step }} then order_value else 0 end) as order_value_{{ step }}
        {%- endfor %}
    from reported
    group by source_relation, message_id, report_day, what, person_id, domain_of_nobody
),

stepwise as (
    select
        source_relation,
        message_id,
        report_day,
        what
        {%- for step in counted_steps %},
        sum(events_{{ step }}) as events_{{ step }},
        count(case when events_{{ step }} > 0 then person_id end) as people_{{ step }},
        sum(order_value_{{ step }}) as order_value_{{ step }}
        {%- endfor %},
        count(case when events_{{ last - 1 }} > 0 and person_id is null then 1 end) as nobodies,
        count(case when events_{{ last - 1 }} > 0 and person_id is null then domain_of_nobody end) as domains_of_nobodies
    from stepwise_people
    group by source_relation, message_id, report_day, what
),

compared as (
    {%- for statistic in compared_statistics() %}
    {{ 'union all' if not loop.first }}
    select
        source_relation,
        message_id,
        report_day,
        message_type,
        campaign_id,
        flow_id,
        channel,
        reported_at,
        '{{ statistic.name }}' as statistic,
        '{{ statistic.sums }}' as sums,
        '{{ statistic.of }}' as what,
        {{ without_noise(statistic.name) }} as klaviyo
    from reports
    where {{ statistic.name }} is not null
    {%- endfor %}
),

-- figure_0 is ours; each further one has taken one more cause into account.
figures as (
    select
        {%- for column in ['message_type', 'campaign_id', 'flow_id', 'channel', 'reported_at', 'statistic', 'what', 'klaviyo'] + key %}
        compared.{{ column }} as {{ column }},
        {%- endfor %}
        campaign.campaign_name as campaign_name,
        case
            when compared.message_type = 'flow' then compared.report_day
            else {{ day_of('coalesce(campaign.sent_at, campaign.scheduled_to_send_at)') }}
        end as sent_day,
        cast(coalesce(case compared.sums
            when 'events' then ours.events when 'people' then ours.people else ours.order_value
        end, 0) as {{ dbt.type_numeric() }}) as figure_0
        {%- for step in counted_steps %},
        cast(coalesce(case compared.sums
            when 'events' then stepwise.events_{{ step }}
            when 'people' then stepwise.people_{{ step }}
            else stepwise.order_value_{{ step }}
        end, 0) as {{ dbt.type_numeric() }}) as figure_{{ step }}
        {%- endfor %},
        cast(case
            when compared.sums <> 'people' or coalesce(stepwise.nobodies, 0) = 0 then 0
            when stepwise.domains_of_nobodies = 0 then 1
            else stepwise.domains_of_nobodies
        end as {{ dbt.type_numeric() }}) as certain_nobodies
    from compared
    left join ours
        on ours.source_relation = compared.source_relation
        and ours.message_id = compared.message_id
        and ours.report_day = compared.report_day
        and ours.what = compared.what
    left join stepwise
        on stepwise.source_relation = compared.source_relation
        and stepwise.message_id = compared.message_id
        and stepwise.report_day = compared.report_day
        and stepwise.what = compared.what
    left join {{ ref('stg_klaviyo__campaign') }} as campaign
        on campaign.campaign_id = compared.campaign_id and campaign.source_relation = compared.source_relation
),

-- Whether EVENT can lack what Klaviyo had counted: it has not been read so far back, or not up to the report, of a message
-- that was still at work.
explained as (
    select
        {%- for column in ['message_type', 'campaign_id', 'campaign_name', 'flow_id', 'channel', 'reported_at', 'statistic', 'what', 'klaviyo', 'certain_nobodies'] + key %}
        figures.{{ column }} as {{ column }},
        {%- endfor %}
        {%- for step in range(last) %}
        figures.figure_{{ step }} as figure_{{ step }},
        {%- endfor %}
        klaviyo - figure_{{ last - 1 }} - certain_nobodies as rest,
        state.synced_through as events_read_through,
        case
            when sent_day < {{ day_of('state.synced_from') }} then 1
            when reported_at > {{ hours_later('1', 'state.synced_through') }}
                and {{ days_between('sent_day', day_of('state.synced_through')) }} <= 14
                then 1
            else 0
        end as is_unread
    from figures
    left join {{ ref('stg_klaviyo__sync_state') }} as state
        on state.table_name = 'event' and state.source_relation = figures.source_relation
),

summed as (
    select
        source_relation,
        message_id,
        statistic,
        max(message_type) as message_type,
        max(campaign_id) as campaign_id,
        max(campaign_name) as campaign_name,
        max(flow_id) as flow_id,
        max(channel) as channel,
        {{ total_value('figure_0') }} as ours,
        {{ total_value('klaviyo') }} as klaviyo,
        {%- for step in steps[:-1] %}
        {{ total_value('figure_' ~ loop.index ~ ' - figure_' ~ loop.index0) }} as {{ step }},
        {%- endfor %}
        {{ total_value('certain_nobodies') }} as deleted_profiles,
        {{ total_value('rest') }} as rest,
        {{ total_value('case when is_unread = 1 then rest else 0 end') }} as unread_rest,
        max(reported_at) as reported_at,
        max(events_read_through) as events_read_through
    from explained
    group by source_relation, message_id, statistic
),

-- What is missing on one day may be too much on another, where a message is sent again: so days are added up before.
judged as (
    select
        *,
        cast(case when unread_rest > 0 or statistic like 'conversion%' then unread_rest else 0 end as {{ dbt.type_numeric() }})
            as events_not_read_yet
    from summed
)

select
    {{ surrogate_key(['judged.source_relation', 'judged.message_id', 'judged.statistic']) }} as number_key,
    judged.source_relation as source_relation,
    judged.message_type as message_type,
    judged.campaign_id as campaign_id,
    judged.campaign_name as campaign_name,
    judged.flow_id as flow_id,
    flow.flow_name as flow_name,
    judged.message_id as message_id,
    coalesce(flow_message.message_name, campaign_message.message_name, judged.campaign_name) as message_name,
    judged.channel as channel,
    judged.statistic as statistic,
    judged.ours as ours,
    judged.klaviyo as klaviyo,
    cast(judged.klaviyo - judged.ours as {{ dbt.type_numeric() }}) as difference
    {%- for cause in difference_causes() %},
    judged.{{ cause }} as {{ cause }}
    {%- endfor %},
    cast(judged.rest - judged.events_not_read_yet as {{ dbt.type_numeric() }}) as unexplained,
    judged.reported_at as reported_at,
    judged.events_read_through as events_read_through
from judged
left join {{ ref('stg_klaviyo__flow') }} as flow
    on flow.flow_id = judged.flow_id and flow.source_relation = judged.source_relation
left join {{ ref('stg_klaviyo__campaign_message') }} as campaign_message
    on campaign_message.message_id = judged.message_id and campaign_message.source_relation = judged.source_relation
left join {{ ref('stg_klaviyo__flow_message') }} as flow_message
    on flow_message.message_id = judged.message_id and flow_message.source_relation = judged.source_relation
