{%- set people = [
    ('openers', 'opened'),
    ('openers_without_machines', 'opened_without_machines'),
    ('clickers', 'clicked'),
    ('clickers_without_bots', 'clicked_without_bots'),
    ('buyers', 'orders'),
] %}
{%- set rates = [
    ('open_rate', 'openers'),
    ('open_rate_without_machines', 'openers_without_machines'),
    ('click_rate', 'clickers'),
    ('click_rate_without_bots', 'clickers_without_bots'),
    ('order_rate', 'buyers'),
] %}
{%- set decisions = [
    ('wins_by_opens', 'open_rate_without_machines'),
    ('wins_by_clicks', 'click_rate_without_bots'),
    ('wins_by_orders', 'order_rate'),
] %}
with what_happened as (
    {{ what_happened(ref('message_events'), ref('order_credits')) }}
),

of_people as (
    select
        source_relation,
        message_id,
        variation_id,
        channel,
        person_id,
        max(message_type) as message_type,
        max(campaign_id) as campaign_id,
        max(flow_id) as flow_id,
        min(sent_at) as first_sent_at,
        max(subject) as subject
        {{- sums_of_figures() }}
    from what_happened
    where variation_id is not null
    group by source_relation, message_id, variation_id, channel, person_id
),

variations as (
    select
        source_relation,
        message_id,
        variation_id,
        channel,
        max(message_type) as message_type,
        max(campaign_id) as campaign_id,
        max(flow_id) as flow_id,
        min(first_sent_at) as first_sent_at,
        max(subject) as subject,
        count(case when delivered > 0 then person_id end) as recipients
        {%- for name, figure in people %},
        count(case when delivered > 0 and {{ figure }} > 0 then person_id end) as {{ name }}
        {%- endfor %},
        {{ total('case when delivered > 0 and person_id is not null then orders end') }} as orders,
        {{ total_value('case when delivered > 0 and person_id is not null then revenue end') }} as revenue
    from of_people
    group by source_relation, message_id, variation_id, channel
),

compared as (
    select *, count(*) over (partition by source_relation, message_id, channel) as number_of_variations
    from variations
    where recipients > 0
),

rated as (
    select
        *
        {%- for name, count in rates %},
        {{ rate(count, 'recipients') }} as {{ name }},
        {{ rate_end(count, 'recipients', 'low') }} as {{ name }}_low,
        {{ rate_end(count, 'recipients', 'high') }} as {{ name }}_high
        {%- endfor %}
    from compared
    where number_of_variations > 1
),

others as (
    select
        rated.source_relation as source_relation,
        rated.message_id as message_id,
        rated.channel as channel,
        rated.variation_id as variation_id
        {%- for name, rate in decisions %},
        max(other.{{ rate }}_high) as {{ rate }}_high
        {%- endfor %}
    from rated
    inner join rated as other
        on other.source_relation = rated.source_relation
        and other.message_id = rated.message_id
        and other.channel = rated.channel
    where other.variation_id <> rated.variation_id
    group by rated.source_relation, rated.message_id, rated.channel, rated.variation_id
)

select
    {{ surrogate_key([
        'rated.source_relation', 'rated.message_id', 'rated.channel', 'rated.variation_id'
    ]) }} as variation_result_key,
    rated.source_relation as source_relation,
    rated.message_type as message_type,
    rated.campaign_id as campaign_id,
    campaign.campaign_name as campaign_name,
    rated.flow_id as flow_id,
    flow.flow_name as flow_name,
    rated.message_id as message_id,
    rated.channel as channel,
    rated.variation_id as variation_id,
    variation.variation_name as variation_name,
    coalesce(variation.subject, rated.subject) as subject,
    rated.first_sent_at as first_sent_at,
    rated.recipients as recipients
    {%- for name, _ in people %},
    rated.{{ name }} as {{ name }}
    {%- endfor %},
    rated.orders as orders,
    rated.revenue as revenue,
    {{ rate('rated.revenue', 'rated.recipients') }} as revenue_per_recipient
    {%- for name, _ in rates %},
    rated.{{ name }} as {{ name }},
    rated.{{ name }}_low as {{ name }}_low,
    rated.{{ name }}_high as {{ name }}_high
    {%- endfor %}
    {%- for name, rate in decisions %},
    case when rated.{{ rate }}_low > others.{{ rate }}_high then 1 else 0 end as {{ name }}
    {%- endfor %}
from rated
inner join others
    on others.source_relation = rated.source_relation
    and others.message_id = rated.message_id
    and others.channel = rated.channel
    and others.variation_id = rated.variation_id
left join {{ ref('stg_klaviyo__campaign') }} as campaign
    on campaign.campaign_id = rated.campaign_id and campaign.source_relation = rated.source_relation
left join {{ ref('stg_klaviyo__flow') }} as flow
    on flow.flow_id = rated.flow_id and flow.source_relation = rated.source_relation
left join {{ ref('stg_klaviyo__campaign_variation') }} as variation
    on variation.variation_id = rated.variation_id and variation.source_relation = rated.source_relation
