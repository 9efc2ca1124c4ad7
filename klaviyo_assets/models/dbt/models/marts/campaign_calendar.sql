with what_happened as (
    {{ what_happened(ref('message_events'), ref('order_credits')) }}
),

of_people as (
    select
        source_relation,
        campaign_id,
        person_id
        {{- sums_of_figures() }}
    from what_happened
    where campaign_id is not null
    group by source_relation, campaign_id, person_id
),

results as (
    select
        source_relation,
        campaign_id
        {{- figures_of_people() }}
    from of_people
    group by source_relation, campaign_id
),

campaigns as (
    select
        *,
        coalesce(sent_at, scheduled_to_send_at) as send_at,
        case
            when campaign_type = 'sms' then 'text'
            when campaign_type like '%push%' then 'push'
            else campaign_type
        end as channel
    from {{ ref('stg_klaviyo__campaign') }}
),

dated as (
    select
        *,
        {{ day_of('send_at') }} as send_date,
        lag(send_at) over (
            partition by source_relation, channel, case when send_at is null then 0 else 1 end order by send_at, campaign_id
        ) as previous_send_at
    from campaigns
)

select
    {{ surrogate_key(['dated.campaign_id', 'dated.source_relation']) }} as campaign_key,
    dated.source_relation as source_relation,
    dated.campaign_id as campaign_id,
    dated.campaign_name as campaign_name,
    dated.subject as subject,
    dated.channel as channel,
    dated.status as status,
    case when dated.sent_at is not null then 1 else 0 end as is_sent,
    dated.send_at as send_at,
    dated.send_date as send_date,
    {{ first_day('week', 'dated.send_date') }} as week_start,
    {{ first_day('month', 'dated.send_date') }} as month_start,
    {{ days_between(first_day('week', 'dated.send_date'), 'dated.send_date') }} + 1 as weekday,
    cast(extract(hour from dated.send_at) as {{ dbt.type_bigint() }}) as hour_of_day,
    {{ days_between(day_of('dated.previous_send_at'), 'dated.send_date') }} as days_since_previous,
    coalesce(results.delivered + results.bounced + results.failed, 0) as sent
    {{- select_figures('results') }}
from dated
left join results
    on results.campaign_id = dated.campaign_id and results.source_relation = dated.source_relation
