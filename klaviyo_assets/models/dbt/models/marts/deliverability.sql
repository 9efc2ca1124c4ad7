with emails as (
    select
        event.source_relation as source_relation,
        {{ inbox_provider(
            'coalesce(event.inbox_provider, case when event.person_id is not null then max(event.inbox_provider) over ('
            ~ 'partition by event.source_relation, event.message_id, event.person_id) end)',
            "coalesce(" ~ dbt.concat(["'@'", 'event.email_domain']) ~ ", lower(person.email))"
        ) }} as inbox_provider,
        {{ first_day('week', 'event.sent_on') }} as week_start,
        event.message_id as message_id,
        event.person_id as person_id,
        event.bounce_type as bounce_type
        {%- for figure in message_figures() %},
        event.{{ figure.name }} as {{ figure.name }}
        {%- endfor %}
    from ({{ what_happened(ref('message_events'), ref('order_credits')) }}) as event
    left join {{ ref('stg_klaviyo__person') }} as person
        on person.person_id = event.person_id and person.source_relation = event.source_relation
    where event.channel = 'email' and event.orders + event.orders_by_window + event.orders_by_human_touch = 0
),

of_people as (
    select
        source_relation,
        inbox_provider,
        week_start,
        message_id,
        person_id,
        sum(case when bounced = 1 and bounce_type like 'hard%' then 1 else 0 end) as hard_bounced,
        sum(case when bounced = 1 and bounce_type like 'soft%' then 1 else 0 end) as soft_bounced
        {%- for figure in message_figures() %},
        sum({{ figure.name }}) as {{ figure.name }}
        {%- endfor %}
    from emails
    group by source_relation, inbox_provider, week_start, message_id, person_id
),

providers as (
    select
        source_relation,
        inbox_provider,
        week_start,
        {{ total('hard_bounced') }} as hard_bounced,
        {{ total('soft_bounced') }} as soft_bounced
        {%- for figure in message_figures() %},
        {{ total(figure.name) }} as {{ figure.name }},
        count(case when {{ figure.name }} > 0 then person_id end) as messages_{{ figure.name }}
        {%- endfor %}
    from of_people
    group by source_relation, inbox_provider, week_start
)

select
    {{ surrogate_key(['source_relation', 'inbox_provider', 'week_start']) }} as deliverability_key,
    source_relation,
    inbox_provider,
    week_start,
    delivered + bounced + failed as sent,
    delivered,
    bounced,
    hard_bounced,
    soft_bounced,
    dropped,
    opened,
    messages_opened,
    opened_without_machines,
    messages_opened_without_machines,
    clicked,
    messages_clicked,
    clicked_without_bots,
    messages_clicked_without_bots,
    unsubscribed,
    messages_unsubscribed,
    marked_as_spam,
    messages_marked_as_spam,
    {{ message_rates('messages_') }}
from providers
