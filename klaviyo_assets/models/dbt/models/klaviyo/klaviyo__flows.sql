with metrics as (
    {{ message_metrics(ref('klaviyo__person_campaign_flow'), 'last_touch_flow_id') }}
)

select
    {{ all_columns('flow', ref('stg_klaviyo__flow')) }},
    {{ select_message_metrics('metrics') }},
    {{ surrogate_key(['flow.flow_id', 'metrics.variation_id']) }} as flow_variation_key
from {{ ref('stg_klaviyo__flow') }} as flow
left join metrics
    on metrics.last_touch_flow_id = flow.flow_id and metrics.source_relation = flow.source_relation
