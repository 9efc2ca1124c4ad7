with metrics as (
    select
        person_id,
        source_relation,
        count(distinct last_touch_campaign_id) as count_total_campaigns,
        count(distinct last_touch_flow_id) as count_total_flows,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at,
        min(case when last_touch_campaign_id is not null then first_event_at end) as first_campaign_touch_at,
        max(case when last_touch_campaign_id is not null then last_event_at end) as last_campaign_touch_at,
        min(case when last_touch_flow_id is not null then first_event_at end) as first_flow_touch_at,
        max(case when last_touch_flow_id is not null then last_event_at end) as last_flow_touch_at
        {%- for column in metric_columns() %},
        sum({{ column.name }}) as total_{{ column.name }}
        {%- if not column.is_count %},
        sum(
            case when last_touch_campaign_id is null and last_touch_flow_id is null then {{ column.name }} else 0 end
        ) as organic_{{ column.name }}
        {%- endif %}
        {%- endfor %}
    from {{ ref('klaviyo__person_campaign_flow') }}
    group by person_id, source_relation
)

select
    {{ all_columns('person', ref('stg_klaviyo__person')) }},
    coalesce(metrics.count_total_campaigns, 0) as count_total_campaigns,
    coalesce(metrics.count_total_flows, 0) as count_total_flows,
    metrics.first_event_at as first_event_at,
    metrics.last_event_at as last_event_at,
    metrics.first_campaign_touch_at as first_campaign_touch_at,
    metrics.last_campaign_touch_at as last_campaign_touch_at,
    metrics.first_flow_touch_at as first_flow_touch_at,
    metrics.last_flow_touch_at as last_flow_touch_at
    {%- for column in metric_columns() %},
    coalesce(metrics.total_{{ column.name }}, 0) as total_{{ column.name }}
    {%- if not column.is_count %},
    coalesce(metrics.organic_{{ column.name }}, 0) as organic_{{ column.name }}
    {%- endif %}
    {%- endfor %}
from {{ ref('stg_klaviyo__person') }} as person
left join metrics
    on metrics.person_id = person.person_id and metrics.source_relation = person.source_relation
