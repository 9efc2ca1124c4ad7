{#- The condition that an event is one of a metric, by any of the names that it has had. -#}
{% macro is_metric(column, metric) %}
    {%- set others = [] -%}
    {%- for name, names in var('klaviyo__metric_names').items() if metric | lower in ([name] + names) | map('lower') | list -%}
        {%- do others.extend([name] + names) -%}
    {%- endfor -%}
    lower({{ column }}) in ({{ quoted_names([metric] + others) }})
{%- endmacro %}

{#- The condition that an event is one of some metrics. -#}
{% macro is_any_metric(column, metrics) -%}
    (
        {%- for metric in metrics %}
        {{ 'or ' if not loop.first }}{{ is_metric(column, metric) }}
        {%- endfor %}
    )
{%- endmacro %}

{#- The condition that an event may be credited with what follows. -#}
{% macro is_eligible(column) %}
    {%- set events = var('klaviyo__eligible_attribution_events') -%}
    {%- if not events -%}
    {{ column }} is not null
    {%- else -%}
    {{ is_any_metric(column, events) }}
    {%- endif -%}
{%- endmacro %}

{#- Hours after a touch in which it is credited. -#}
{% macro lookback_hours(column) -%}
    case
        when lower({{ column }}) like '%sms%' or lower({{ column }}) like '%text messag%'
            then {{ var('klaviyo__sms_attribution_lookback') }}
        else {{ var('klaviyo__email_attribution_lookback') }}
    end
{%- endmacro %}

{#- A metric's name as part of a column's name: Placed Order -> placed_order. -#}
{% macro metric_slug(metric) -%}
    {{ return(modules.re.sub('[^a-z0-9_]', '_', metric | lower | replace('(', '') | replace(')', ''))) }}
{%- endmacro %}

{#- The columns of klaviyo__person_campaign_flow that hold numbers. -#}
{% macro metric_columns() %}
    {%- set columns = [] -%}
    {%- for metric in var('klaviyo__sum_revenue_metrics') -%}
        {%- do columns.append({'name': 'sum_revenue_' ~ metric_slug(metric), 'metric': metric, 'is_count': false}) -%}
    {%- endfor -%}
    {%- for metric in var('klaviyo__count_metrics') -%}
        {%- do columns.append({'name': 'count_' ~ metric_slug(metric), 'metric': metric, 'is_count': true}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}

{#- The numbers of klaviyo__person_campaign_flow, out of events. prefix: of their names. -#}
{% macro pivot_metrics(prefix='') %}
    {%- for column in metric_columns() %},
        sum(case when {{ is_metric('type', column.metric) }} then {{ '1' if column.is_count else 'coalesce(numeric_value, 0)' }} else 0 end) as {{ prefix }}{{ column.name }}
    {%- endfor %}
{%- endmacro %}

{%- macro quoted_names(names) -%}
    {%- for name in names | map('lower') | unique -%}
        {{ dbt.string_literal(dbt.escape_single_quotes(name)) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro -%}

{#- One text that is different for different values of the columns; NULL is a value. The keys of dbt_klaviyo are made so. -#}
{% macro surrogate_key(columns) %}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- do parts.append("coalesce(cast(" ~ column ~ " as " ~ dbt.type_string() ~ "), '_dbt_utils_surrogate_key_null_')") -%}
        {%- do parts.append("'-'") if not loop.last -%}
    {%- endfor -%}
    {{ dbt.hash(dbt.concat(parts)) }}
{%- endmacro %}
