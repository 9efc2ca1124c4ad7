{#- The value of a column as a moment in UTC. -#}
{% macro moment(column, value) %}
    {{- adapter.dispatch('moment', 'klaviyo_models')(column, value) -}}
{% endmacro %}

{% macro default__moment(column, value) -%}
    cast({{ value }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- A session of dbt's is in whatever zone the account is in. -#}
{% macro snowflake__moment(column, value) -%}
    {%- set value = "convert_timezone('UTC', " ~ value ~ ")" if 'tz' in column.data_type | lower and 'ntz' not in column.data_type | lower else value -%}
    cast({{ value }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- The day of a moment in UTC. -#}
{% macro day_of(moment) %}
    {{- adapter.dispatch('day_of', 'klaviyo_models')(moment) -}}
{% endmacro %}

{% macro default__day_of(moment) -%}
    cast({{ dbt.date_trunc('day', moment) }} as date)
{%- endmacro %}

{#- A Date begins in 1970 there. -#}
{% macro clickhouse__day_of(moment) -%}
    toDate32({{ moment }})
{%- endmacro %}

{#- A moment some hours later. -#}
{% macro hours_later(hours, moment) %}
    {{- adapter.dispatch('hours_later', 'klaviyo_models')(hours, moment) -}}
{% endmacro %}

{% macro default__hours_later(hours, moment) -%}
    {{ dbt.dateadd('hour', hours, moment) }}
{%- endmacro %}

{#- dbt's own gives a DATETIME, which does not compare with a TIMESTAMP. -#}
{% macro bigquery__hours_later(hours, moment) -%}
    timestamp_add({{ moment }}, interval ({{ hours }}) hour)
{%- endmacro %}
