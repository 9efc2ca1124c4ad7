with metrics as (
    {{ message_metrics(ref('klaviyo__person_campaign_flow'), 'last_touch_campaign_id') }}
)

select
    {{ all_columns('campaign', ref('stg_klaviyo__campaign')) }},
    {{ select_message_metrics('metrics') }},
    {{ surrogate_key(['campaign.campaign_id', 'metrics.variation_id']) }} as campaign_variation_key
from {{ ref('stg_klaviyo__campaign') }} as campaign
left join metrics
    on metrics.last_touch_campaign_id = campaign.campaign_id and metrics.source_relation = campaign.source_relation
