with orders as (
    select
        event_id,
        {{ surrogate_key(['event_id', 'source_relation']) }} as unique_event_id,
        source_relation,
        person_id,
        order_id,
        occurred_at,
        {{ day_of('occurred_at') }} as occurred_on,
        coalesce(order_value, 0) as order_value
    from {{ ref('stg_klaviyo__order_event') }}
    where step = 'placed'
),

afterwards as (
    select
        source_relation,
        order_id,
        min(case when step = 'cancelled' then occurred_at end) as cancelled_at,
        {{ total_value("case when step = 'refunded' then order_value end") }} as refunded_value
    from {{ ref('stg_klaviyo__order_event') }}
    where order_id is not null and step in ('cancelled', 'refunded')
    group by source_relation, order_id
),

-- What klaviyo__events credits. An order that is an event of a message is credited to that.
by_event as (
    select
        event.event_id as event_id,
        event.source_relation as source_relation,
        max(touch.event_id) as touch_event_id
    from {{ ref('klaviyo__events') }} as event
    inner join {{ ref('message_events') }} as touch
        on touch.source_relation = event.source_relation
        {%- if is_attribution_native() %}
        and touch.event_id = case
            when event.touch_id is not null then event.event_id
            else {{ attributed_event_id('event.event_attribution') }}
        end
        {%- else %}
        and touch.person_id = event.person_id
        and touch.occurred_at = event.last_touch_at
        and touch.type = event.last_touch_event_type
        and coalesce(touch.campaign_id, touch.flow_id) = coalesce(event.last_touch_campaign_id, event.last_touch_flow_id)
        {%- endif %}
    where event.last_touch_type is not null
        and {{ is_metric('event.type', var('klaviyo__conversion_metric')) }}
    group by event.event_id, event.source_relation
),

touches as (
    select *
    from (
        select
            event_id,
            source_relation,
            person_id,
            occurred_at,
            {{ attribution_window('channel', 'action', 'is_machine_open', 'is_bot_click') }} as hours,
            case when is_machine_open = 1 or is_bot_click = 1 then 0 else 1 end as is_human
        from {{ ref('message_events') }}
        where person_id is not null
    ) as events
    where hours is not null
),

-- Touches of one kind have one window, so that only the last of a kind before an order can earn its credit. Which one that
-- is, is counted along the time line of each person. Of two events at one time the touch comes first.
time_line as (
    select
        *
        {%- for kind in touch_kinds() %},
        sum(case when is_touch = 1 and hours = {{ kind.hours }} and is_human = {{ kind.is_human }} then 1 else 0 end) over (
            partition by source_relation, person_id
            order by occurred_at, is_touch desc, event_id
            rows between unbounded preceding and current row
        ) as touches_{{ loop.index }}
        {%- endfor %}
    from (
        select event_id, source_relation, person_id, occurred_at, hours, is_human, 1 as is_touch from touches
        union all
        select event_id, source_relation, person_id, occurred_at, 0 as hours, 0 as is_human, 0 as is_touch
        from orders
        where person_id is not null
    ) as events
),

last_touches as (
    {%- for kind in touch_kinds() %}
    {{ 'union all' if not loop.first }}
    select
        event_id,
        source_relation,
        person_id,
        occurred_at,
        {{ kind.hours }} as hours,
        {{ kind.is_human }} as is_human,
        touches_{{ loop.index }} as touch_number
    from time_line
    where is_touch = 0 and touches_{{ loop.index }} > 0
    {%- else %}
    select event_id, source_relation, person_id, occurred_at, hours, is_human, 0 as touch_number
    from time_line
    where 1 = 0
    {%- endfor %}
),

numbered as (
    select
        *,
        row_number() over (
            partition by source_relation, person_id, hours, is_human order by occurred_at, event_id
        ) as touch_number
    from touches
),

ranked as (
    select
        last_touch.event_id as event_id,
        last_touch.source_relation as source_relation,
        touch.event_id as touch_event_id,
        touch.is_human as is_human,
        row_number() over (
            partition by last_touch.source_relation, last_touch.event_id
            order by touch.occurred_at desc, touch.event_id desc
        ) as recency,
        row_number() over (
            partition by last_touch.source_relation, last_touch.event_id
            order by touch.is_human desc, touch.occurred_at desc, touch.event_id desc
        ) as human_recency
    from last_touches as last_touch
    inner join numbered as touch
        on touch.source_relation = last_touch.source_relation
        and touch.person_id = last_touch.person_id
        and touch.hours = last_touch.hours
        and touch.is_human = last_touch.is_human
        and touch.touch_number = last_touch.touch_number
    where last_touch.occurred_at <= {{ hours_later('touch.hours', 'touch.occurred_at') }}
),

credited as (
    select event_id, source_relation, 'event' as credited_by, touch_event_id from by_event
    union all
    select event_id, source_relation, 'window' as credited_by, touch_event_id from ranked where recency = 1
    union all
    select event_id, source_relation, 'human' as credited_by, touch_event_id
    from ranked
    where human_recency = 1 and is_human = 1
)

select
    {{ surrogate_key(['orders.event_id', 'orders.source_relation', 'ways.credited_by']) }} as order_credit_key,
    orders.event_id as event_id,
    orders.unique_event_id as unique_event_id,
    orders.source_relation as source_relation,
    ways.credited_by as credited_by,
    orders.person_id as person_id,
    orders.order_id as order_id,
    orders.occurred_at as occurred_at,
    orders.occurred_on as occurred_on,
    orders.order_value as order_value,
    afterwards.cancelled_at as cancelled_at,
    coalesce(afterwards.refunded_value, 0) as refunded_value,
    touch.event_id as touch_event_id,
    touch.action as touch_action,
    touch.occurred_at as touch_at,
    touch.is_machine_open as touch_is_machine_open,
    touch.is_bot_click as touch_is_bot_click,
    touch.channel as channel,
    touch.message_type as message_type,
    touch.campaign_id as campaign_id,
    touch.flow_id as flow_id,
    touch.message_id as message_id,
    touch.variation_id as variation_id,
    touch.sent_at as sent_at,
    touch.sent_on as sent_on
from orders
cross join (
    select 'event' as credited_by
    union all
    select 'window' as credited_by
    union all
    select 'human' as credited_by
) as ways
left join credited
    on credited.event_id = orders.event_id
    and credited.source_relation = orders.source_relation
    and credited.credited_by = ways.credited_by
left join {{ ref('message_events') }} as touch
    on touch.event_id = credited.touch_event_id and touch.source_relation = credited.source_relation
left join afterwards
    on afterwards.order_id = orders.order_id and afterwards.source_relation = orders.source_relation
