{#- Whether the events say themselves what they are attributed to. -#}
{% macro is_attribution_native() %}
    {%- set wanted = var('using_native_attribution', none) -%}
    {%- if wanted is not none -%}
        {{ return(wanted) }}
    {%- endif -%}
    {%- if not execute -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set names = [] -%}
    {%- for table in source_tables('klaviyo', 'event') -%}
        {%- do names.extend(table.columns) -%}
    {%- endfor -%}
    {{ return(not names or 'property_attribution' in names or 'propertyattribution' in names) }}
{% endmacro %}

{#- The event that earned the credit, by what Klaviyo says of another. A text of Fivetran's older shape has
    `$attributed_event_id`; some warehouses take no `$` in a path. -#}
{% macro attributed_event_id(attribution) -%}
    coalesce(
        {{ json_value("replace(" ~ attribution ~ ", '$', '')", ['relationships', 'attributed-event', 'data', 'id']) }},
        {{ json_value("replace(" ~ attribution ~ ", '$', '')", ['attributed_event_id']) }}
    )
{%- endmacro %}

{#- Events with the event that they are attributed to by Klaviyo. events: a relation like stg_klaviyo__event. -#}
{% macro attribute_natively(events) -%}
    select
        unattributed.event_id as event_id,
        unattributed.source_relation as source_relation,
        touch.event_id as touch_event_id
    from (
        select
            event_id,
            source_relation,
            {{ attributed_event_id('event_attribution') }} as attributed_event_id
        from {{ events }}
        where event_attribution is not null and touch_id is null
    ) as unattributed
    inner join {{ ref('stg_klaviyo__event') }} as touch
        on touch.event_id = unattributed.attributed_event_id
        and touch.source_relation = unattributed.source_relation
    where coalesce(touch.campaign_id, touch.flow_id) is not null
{%- endmacro %}

{#- Events with the last eligible touch of the same person before them, if it lies in the lookback window.

    Each eligible touch starts a session. Of two events at one time the touch comes first. -#}
{% macro attribute_by_session(events) -%}
    select
        sessions.event_id as event_id,
        sessions.source_relation as source_relation,
        touch.event_id as touch_event_id
    from (
        select
            *,
            sum(is_touch) over (
                partition by source_relation, person_id
                order by occurred_at, is_touch desc, event_id
                rows between unbounded preceding and current row
            ) as session_number
        from (
            select
                *,
                case when touch_id is not null and {{ is_eligible('type') }} then 1 else 0 end as is_touch
            from {{ events }}
            where person_id is not null
        ) as events
    ) as sessions
    inner join (
        select
            *,
            row_number() over (
                partition by source_relation, person_id
                order by occurred_at, event_id
            ) as session_number
        from {{ events }}
        where person_id is not null and touch_id is not null and {{ is_eligible('type') }}
    ) as touch
        on touch.source_relation = sessions.source_relation
        and touch.person_id = sessions.person_id
        and touch.session_number = sessions.session_number
    where sessions.touch_id is null
        and sessions.occurred_at <= {{ hours_later(lookback_hours('touch.type'), 'touch.occurred_at') }}
{%- endmacro %}

{#- Delete the events that an incremental build has to make anew: all events of each person of whom one event came,
    changed, vanished, shows a name that has changed, or is credited to an event that did, whoever's that is. An event has
    changed if it was written by another sync than the one that the model has: that also holds for what a long backfill
    brings after newer events. Columns that came or have another type now have all events made anew. -#}
{% macro delete_outdated_events() %}
    {%- if is_incremental() %}
    delete from {{ this }}
    {%- if has_columns_of_events() and not flags.FULL_REFRESH %}
    where unique_event_id in (
        with news as (
            select
                coalesce(event.event_id, model.event_id) as event_id,
                coalesce(event.source_relation, model.source_relation) as source_relation,
                coalesce(event.person_id, event.event_id) as person_key,
                coalesce(model.person_id, model.event_id) as former_person_key
            from {{ ref('stg_klaviyo__event') }} as event
            full outer join {{ this }} as model
                on model.event_id = event.event_id and model.source_relation = event.source_relation
            where event.event_id is null
                or model.event_id is null
                or event._fivetran_synced is distinct from model._fivetran_synced
        ),

        outdated as (
            select source_relation, person_key from news
            union
            select source_relation, former_person_key from news
            union
            select model.source_relation, coalesce(model.person_id, model.event_id)
            from {{ this }} as model
            left join {{ ref('stg_klaviyo__campaign') }} as campaign
                on campaign.campaign_id = model.last_touch_campaign_id and campaign.source_relation = model.source_relation
            left join {{ ref('stg_klaviyo__flow') }} as flow
                on flow.flow_id = model.last_touch_flow_id and flow.source_relation = model.source_relation
            left join {{ ref('stg_klaviyo__person') }} as person
                on person.person_id = model.person_id and person.source_relation = model.source_relation
            left join {{ ref('stg_klaviyo__metric') }} as metric
                on metric.metric_id = model.metric_id and metric.source_relation = model.source_relation
            where 1 = 0
                {%- for name, expression in event_labels().items() %}
                or {{ expression }} is distinct from model.{{ name }}
                {%- endfor %}
            {%- if is_attribution_native() %}
            union
            select attributed.source_relation, attributed.person_key
            from (
                select
                    source_relation,
                    coalesce(person_id, event_id) as person_key,
                    {{ attributed_event_id('event_attribution') }} as attributed_event_id
                from {{ this }}
                where event_attribution is not null and touch_id is null
            ) as attributed
            inner join news
                on news.event_id = attributed.attributed_event_id and news.source_relation = attributed.source_relation
            {%- endif %}
        )

        select model.unique_event_id
        from {{ this }} as model
        inner join outdated
            on outdated.source_relation = model.source_relation
            and outdated.person_key = coalesce(model.person_id, model.event_id)
    )
    {%- endif %}
    {%- endif %}
{% endmacro %}

{#- Whether the table of the model has all columns that it would have now, with the same types: another pass-through
    column may have been asked for, or a property got its first value, or one of another type. -#}
{% macro has_columns_of_events() %}
    {%- set existing = {} -%}
    {%- for column in adapter.get_columns_in_relation(this) -%}
        {%- do existing.update({column.name | lower: column}) -%}
    {%- endfor -%}
    {%- set missing = event_labels().keys() | reject('in', existing) | list -%}
    {%- for column in adapter.get_columns_in_relation(ref('stg_klaviyo__event')) -%}
        {%- set own = existing[column.name | lower] -%}
        {%- if not own or (own.data_type != column.data_type and not (own.is_string() and column.is_string())) -%}
            {%- do missing.append(column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(not missing) }}
{% endmacro %}

{#- Columns of klaviyo__events that repeat other tables. -#}
{% macro event_labels() %}
    {{ return({
        'campaign_name': 'campaign.campaign_name',
        'campaign_type': 'campaign.campaign_type',
        'campaign_subject_line': 'campaign.subject',
        'flow_name': 'flow.flow_name',
        'person_city': 'person.city',
        'person_country': 'person.country',
        'person_region': 'person.region',
        'person_email': 'person.email',
        'person_timezone': 'person.timezone',
        'integration_id': 'metric.integration_id',
        'integration_name': 'metric.integration_name',
        'integration_category': 'metric.integration_category',
    }) }}
{% endmacro %}

{#- Whether only the events of people with news are made anew, in one transaction with the delete of what they were before.
    Where dbt has no such transaction, who reads would see some events missing: there the whole table is, in one statement. -#}
{% macro keeps_events() %}
    {{- return(target.type in ('duckdb', 'postgres')) -}}
{% endmacro %}

{#- For the configuration `full_refresh`: where views go with the table that they show, all rows are made anew in it. -#}
{% macro refreshes_in_place() %}
    {{- return(false if target.type == 'postgres' else none) -}}
{% endmacro %}

{#- BigQuery bills by what is looked at, and writes 4,000 partitions in a statement: by month, they are some hundred. -#}
{% macro event_partitions() %}
    {{- return({'field': 'occurred_on', 'data_type': 'date', 'granularity': 'month'} if target.type == 'bigquery' else none) -}}
{% endmacro %}
