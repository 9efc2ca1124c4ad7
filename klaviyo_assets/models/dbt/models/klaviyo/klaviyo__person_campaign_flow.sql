select
    person_id,
    last_touch_campaign_id,
    last_touch_flow_id,
    campaign_name,
    flow_name,
    variation_id,
    source_relation,
    min(occurred_at) as first_event_at,
    max(occurred_at) as last_event_at
    {{- pivot_metrics() }}
from {{ ref('klaviyo__events') }}
group by
    person_id,
    last_touch_campaign_id,
    last_touch_flow_id,
    campaign_name,
    flow_name,
    variation_id,
    source_relation
