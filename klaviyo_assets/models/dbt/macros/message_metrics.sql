{#- The numbers of each campaign or flow and variation, out of a relation like klaviyo__person_campaign_flow.
    id: the column to group by. -#}
{% macro message_metrics(relation, id) %}
    select
        {{ id }},
        variation_id,
        source_relation,
        count(distinct person_id) as total_count_unique_people,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at
        {%- for column in metric_columns() %},
        sum({{ column.name }}) as {{ column.name }}
        {%- if column.is_count %},
        count(distinct case when {{ column.name }} > 0 then person_id end) as unique_{{ column.name }}
        {%- endif %}
        {%- endfor %}
    from {{ relation }}
    where {{ id }} is not null
    group by {{ id }}, variation_id, source_relation
{% endmacro %}

{#- Select the numbers of message_metrics; 0 where nothing happened. -#}
{% macro select_message_metrics(relation) %}
    {{ relation }}.variation_id,
    coalesce({{ relation }}.total_count_unique_people, 0) as total_count_unique_people,
    {{ relation }}.first_event_at,
    {{ relation }}.last_event_at
    {%- for column in metric_columns() %},
    coalesce({{ relation }}.{{ column.name }}, 0) as {{ column.name }}
    {%- if column.is_count %},
    coalesce({{ relation }}.unique_{{ column.name }}, 0) as unique_{{ column.name }}
    {%- endif %}
    {%- endfor %}
{%- endmacro %}
