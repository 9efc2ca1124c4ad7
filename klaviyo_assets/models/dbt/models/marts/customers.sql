{%- set scores = [('recency_score', 'last_order_at'), ('frequency_score', 'orders'), ('monetary_score', 'order_value')] %}
with as_of as (
    {{ last_days(ref('klaviyo__events'), ref('stg_klaviyo__sync_state')) }}
),

orders as (
    select
        person_id,
        source_relation,
        count(*) as orders,
        min(occurred_at) as first_order_at,
        max(occurred_at) as last_order_at,
        {{ total_value('order_value') }} as order_value,
        count(cancelled_at) as cancelled_orders,
        {{ total_value('refunded_value') }} as refunded_value
    from {{ ref('order_credits') }}
    where credited_by = 'event' and person_id is not null
    group by person_id, source_relation
),

-- Equal customers have equal scores: the share of customers that are behind, in fifths.
scored as (
    select
        *
        {%- for name, column in scores %},
        cast(
            floor(
                5.0 * (rank() over (partition by source_relation order by {{ column }}) - 1)
                / count(*) over (partition by source_relation)
            ) as {{ dbt.type_bigint() }}
        ) + 1 as {{ name }}
        {%- endfor %}
    from orders
),

engagement as (
    select
        event.person_id as person_id,
        event.source_relation as source_relation,
        count(case when event.action = 'delivered' then 1 end) as messages_delivered,
        max(case when event.action = 'delivered' then event.occurred_at end) as last_message_at,
        max(
            case when event.action = 'opened' and event.is_machine_open = 0 then event.occurred_at end
        ) as last_opened_at,
        max(
            case when event.action = 'clicked' and event.is_bot_click = 0 then event.occurred_at end
        ) as last_clicked_at
    from {{ ref('message_events') }} as event
    where event.person_id is not null
    group by event.person_id, event.source_relation
),

last_days as (
    select person_id, source_relation, max({{ day_of('happened_at') }}) as last_engaged_on
    from (
        select person_id, source_relation, last_opened_at as happened_at from engagement
        union all
        select person_id, source_relation, last_clicked_at as happened_at from engagement
        union all
        select person_id, source_relation, last_order_at as happened_at from orders
    ) as engaged
    group by person_id, source_relation
),

customers as (
    select
        person.person_id as person_id,
        person.source_relation as source_relation,
        person.email as email,
        person.created_at as created_at,
        coalesce(scored.orders, 0) as orders,
        coalesce(scored.order_value, 0) as order_value,
        {{ rate('scored.order_value', 'scored.orders') }} as average_order_value,
        coalesce(scored.cancelled_orders, 0) as cancelled_orders,
        coalesce(scored.refunded_value, 0) as refunded_value,
        scored.first_order_at as first_order_at,
        scored.last_order_at as last_order_at,
        {{ days_between(day_of('scored.last_order_at'), 'as_of.last_day') }} as days_since_last_order,
        {{ first_day('month', day_of('scored.first_order_at')) }} as cohort_month,
        person.predicted_value as predicted_value,
        person.lifetime_value as lifetime_value,
        person.churn_probability as churn_probability,
        person.next_order_expected_at as next_order_expected_at,
        {%- for name, _ in scores %}
        scored.{{ name }} as {{ name }},
        {%- endfor %}
        person.email_consent as email_consent,
        person.can_receive_email as can_receive_email,
        person.text_consent as text_consent,
        person.can_receive_text as can_receive_text,
        exclusion.reason as suppression_reason,
        coalesce(engagement.messages_delivered, 0) as messages_delivered,
        engagement.last_message_at as last_message_at,
        engagement.last_opened_at as last_opened_at,
        engagement.last_clicked_at as last_clicked_at,
        {{ days_between('last_days.last_engaged_on', 'as_of.last_day') }} as days_since_engaged
    from {{ ref('stg_klaviyo__person_marketing') }} as person
    left join scored
        on scored.person_id = person.person_id and scored.source_relation = person.source_relation
    left join engagement
        on engagement.person_id = person.person_id and engagement.source_relation = person.source_relation
    left join last_days
        on last_days.person_id = person.person_id and last_days.source_relation = person.source_relation
    left join {{ ref('stg_klaviyo__global_exclusion') }} as exclusion
        on exclusion.person_id = person.person_id and exclusion.source_relation = person.source_relation
    left join as_of
        on as_of.source_relation = person.source_relation
)

select
    {{ surrogate_key(['person_id', 'source_relation']) }} as customer_key,
    person_id,
    source_relation,
    email,
    created_at,
    orders,
    order_value,
    average_order_value,
    cancelled_orders,
    refunded_value,
    first_order_at,
    last_order_at,
    days_since_last_order,
    cohort_month,
    predicted_value,
    lifetime_value,
    churn_probability,
    next_order_expected_at,
    recency_score,
    frequency_score,
    monetary_score,
    recency_score * 100 + frequency_score * 10 + monetary_score as rfm,
    email_consent,
    can_receive_email,
    text_consent,
    can_receive_text,
    suppression_reason,
    messages_delivered,
    last_message_at,
    last_opened_at,
    last_clicked_at,
    days_since_engaged,
    case
        when days_since_engaged <= 30 then 'active'
        when days_since_engaged <= 90 then 'cooling'
        when days_since_engaged > 90 then 'lapsed'
        else 'never'
    end as engagement
from customers
