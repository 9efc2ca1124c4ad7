with only_messages as (
    select campaign_id, source_relation, min(message_id) as message_id
    from {{ ref('stg_klaviyo__campaign_message') }}
    group by campaign_id, source_relation
    having count(*) = 1
),

events as (
    select
        event.event_id as event_id,
        event.unique_event_id as unique_event_id,
        event.source_relation as source_relation,
        case when event.campaign_id is not null then 'campaign' else 'flow' end as message_type,
        event.campaign_id as campaign_id,
        event.flow_id as flow_id,
        coalesce(
            event.flow_message_id,
            event.flow_id,
            variation.message_id,
            named.message_id,
            only_message.message_id,
            event.campaign_id
        ) as message_id,
        event.variation_id as variation_id,
        event.person_id as person_id,
        event.type as type,
        event.channel as channel,
        event.action as action,
        event.occurred_at as occurred_at,
        event.occurred_on as occurred_on,
        event.is_machine_open as is_machine_open,
        event.is_bot_click as is_bot_click,
        event.inbox_provider as inbox_provider,
        event.email_domain as email_domain,
        event.bounce_type as bounce_type,
        event.subject as subject,
        coalesce(campaign.sent_at, campaign.scheduled_to_send_at) as campaign_sent_at
    from {{ ref('stg_klaviyo__message_event') }} as event
    left join {{ ref('stg_klaviyo__campaign_variation') }} as variation
        on variation.variation_id = event.variation_id and variation.source_relation = event.source_relation
    left join {{ ref('stg_klaviyo__campaign_message') }} as named
        on named.message_id = event.campaign_message_id
        and named.campaign_id = event.campaign_id
        and named.source_relation = event.source_relation
    left join only_messages as only_message
        on only_message.campaign_id = event.campaign_id and only_message.source_relation = event.source_relation
    left join {{ ref('stg_klaviyo__campaign') }} as campaign
        on campaign.campaign_id = event.campaign_id and campaign.source_relation = event.source_relation
),

-- Of events at one time, the sending counts for all: rows with the same time are in the default frame. What was opened is
-- what arrived, though it may have bounced when it was sent again.
sent as (
    select
        *,
        case
            when action in ('delivered', 'bounced', 'failed', 'dropped') then occurred_at
            when person_id is not null then coalesce(
                {%- for actions in ["'delivered'", "'bounced', 'failed', 'dropped'"] %}
                max(case when action in ({{ actions }}) then occurred_at end) over (
                    partition by source_relation, message_id, person_id order by occurred_at
                ){{ ',' if not loop.last }}
                {%- endfor %}
            )
        end as own_sent_at
    from events
)

select
    event_id,
    unique_event_id,
    source_relation,
    message_type,
    campaign_id,
    flow_id,
    message_id,
    variation_id,
    person_id,
    type,
    channel,
    action,
    occurred_at,
    occurred_on,
    coalesce(own_sent_at, campaign_sent_at, occurred_at) as sent_at,
    {{ day_of('coalesce(own_sent_at, campaign_sent_at, occurred_at)') }} as sent_on,
    is_machine_open,
    is_bot_click,
    inbox_provider,
    email_domain,
    bounce_type,
    subject
from sent
