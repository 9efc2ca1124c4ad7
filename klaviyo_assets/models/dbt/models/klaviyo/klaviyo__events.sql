{{ config(
    materialized='incremental' if keeps_events() else 'table',
    incremental_strategy='append',
    unique_key=none,
    full_refresh=refreshes_in_place(),
    on_schema_change='sync_all_columns',
    partition_by=event_partitions(),
    pre_hook='{{ delete_outdated_events() }}'
) }}

with all_events as (
    select
        *,
        coalesce(campaign_id, flow_id) as touch_id,
        case when campaign_id is not null then 'campaign' when flow_id is not null then 'flow' end as touch_type
    from {{ ref('stg_klaviyo__event') }}
),

-- In an incremental build the events of people with news have been deleted, so they are those that are missing.
events as (
    select all_events.*
    from all_events
    {% if is_incremental() %}
    left join {{ this }} as model
        on model.event_id = all_events.event_id and model.source_relation = all_events.source_relation
    where model.event_id is null
    {% endif %}
),

credited as (
    {{ attribute_natively('events') if is_attribution_native() else attribute_by_session('events') }}
),

-- A message event is its own touch: what Klaviyo says of it is never overwritten.
touched as (
    select
        {{ all_columns('events', ref('stg_klaviyo__event'), ['touch_id', 'touch_type']) }},
        touch.event_id as touch_event_id,
        coalesce(events.variation_id, touch.variation_id) as attributed_variation_id,
        touch.campaign_id as touch_campaign_id,
        case when touch.campaign_id is null then touch.flow_id end as touch_flow_id,
        touch.occurred_at as touch_occurred_at,
        touch.type as touch_event_type,
        case when touch.campaign_id is not null then 'campaign' when touch.flow_id is not null then 'flow' end as credited_type
    from events
    left join credited
        on credited.event_id = events.event_id and credited.source_relation = events.source_relation
    left join all_events as touch
        on touch.source_relation = events.source_relation
        and touch.event_id = case when events.touch_id is not null then events.event_id else credited.touch_event_id end
        and touch.touch_id is not null
)

select
    touched.attributed_variation_id as variation_id,
    touched.campaign_id as campaign_id,
    touched.occurred_at as occurred_at,
    touched.flow_id as flow_id,
    touched.flow_message_id as flow_message_id,
    touched.event_id as event_id,
    touched.metric_id as metric_id,
    touched.person_id as person_id,
    touched.uuid as uuid,
    touched.numeric_value as numeric_value,
    touched.event_attribution as event_attribution,
    touched._fivetran_synced as _fivetran_synced,
    touched.source_relation as source_relation,
    touched.occurred_on as occurred_on,
    touched.unique_event_id as unique_event_id,
    touched.touch_id as touch_id,
    touched.touch_type as touch_type,
    touched.type as type,
    touched.touch_campaign_id as last_touch_campaign_id,
    touched.touch_flow_id as last_touch_flow_id,
    touched.touch_occurred_at as last_touch_at,
    touched.touch_event_type as last_touch_event_type,
    touched.credited_type as last_touch_type
    {%- for name, expression in event_labels().items() %},
    {{ expression }} as {{ name }}
    {%- endfor %}
    {%- for column in pass_through('klaviyo__event_pass_through_columns') %},
    touched.{{ column.alias }} as {{ column.alias }}
    {%- endfor %}
from touched
left join {{ ref('stg_klaviyo__campaign') }} as campaign
    on campaign.campaign_id = touched.touch_campaign_id and campaign.source_relation = touched.source_relation
left join {{ ref('stg_klaviyo__flow') }} as flow
    on flow.flow_id = touched.touch_flow_id and flow.source_relation = touched.source_relation
left join {{ ref('stg_klaviyo__person') }} as person
    on person.person_id = touched.person_id and person.source_relation = touched.source_relation
left join {{ ref('stg_klaviyo__metric') }} as metric
    on metric.metric_id = touched.metric_id and metric.source_relation = touched.source_relation
