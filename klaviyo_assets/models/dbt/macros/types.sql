{#- On ClickHouse only what says so is ever NULL, and a timestamp is in whole seconds unless it says otherwise. -#}
{% macro clickhouse__type_string() %}
    {{- return('Nullable(String)') -}}
{% endmacro %}

{% macro clickhouse__type_timestamp() %}
    {{- return("Nullable(DateTime64(6, 'UTC'))") -}}
{% endmacro %}

{% macro clickhouse__type_numeric() %}
    {{- return('Nullable(Decimal(28, 6))') -}}
{% endmacro %}

{% macro clickhouse__type_boolean() %}
    {{- return('Nullable(Bool)') -}}
{% endmacro %}

{#- Whatever an account of Snowflake's takes TIMESTAMP for. -#}
{% macro snowflake__type_timestamp() %}
    {{- return('timestamp_ntz') -}}
{% endmacro %}

{#- A column of our own in quotes: it may be called as a word of SQL is. -#}
{% macro quoted(name) %}
    {{- return(adapter.dispatch('quoted', 'klaviyo_models')(name)) -}}
{% endmacro %}

{% macro default__quoted(name) %}
    {{- return(adapter.quote(name)) -}}
{% endmacro %}

{#- Names without quotes are in upper case there. -#}
{% macro snowflake__quoted(name) %}
    {{- return(adapter.quote(name | upper)) -}}
{% endmacro %}

{#- All columns of one of several relations that are joined. relation: where they are. more: others that it has. -#}
{% macro all_columns(alias, relation, more=[]) %}
    {{- return(adapter.dispatch('all_columns', 'klaviyo_models')(alias, relation, more)) -}}
{% endmacro %}

{% macro default__all_columns(alias, relation, more) %}
    {{- return(alias ~ '.*') -}}
{% endmacro %}

{#- A column would be called `alias.name` there if another of the relations has one of its name. -#}
{% macro clickhouse__all_columns(alias, relation, more) %}
    {%- set columns = [] -%}
    {%- for name in (adapter.get_columns_in_relation(relation) if execute else []) | map(attribute='name') | list + more -%}
        {%- do columns.append(alias ~ '.' ~ adapter.quote(name) ~ ' as ' ~ adapter.quote(name)) -%}
    {%- endfor -%}
    {{- return(columns | join(',\n    ')) -}}
{% endmacro %}

{#- A day. -#}
{% macro type_date() %}
    {{- return(adapter.dispatch('type_date', 'klaviyo_models')()) -}}
{% endmacro %}

{% macro default__type_date() %}
    {{- return('date') -}}
{% endmacro %}

{#- A Date begins in 1970 there. -#}
{% macro clickhouse__type_date() %}
    {{- return('Nullable(Date32)') -}}
{% endmacro %}

{#- A number with a floating point, of 64 bits. -#}
{% macro type_double() %}
    {{- return(adapter.dispatch('type_double', 'klaviyo_models')()) -}}
{% endmacro %}

{% macro default__type_double() %}
    {{- return('double precision') -}}
{% endmacro %}

{% macro bigquery__type_double() %}
    {{- return('float64') -}}
{% endmacro %}

{% macro clickhouse__type_double() %}
    {{- return('Nullable(Float64)') -}}
{% endmacro %}

{#- A whole number that is an id. -#}
{% macro type_id() %}
    {{- return(adapter.dispatch('type_id', 'klaviyo_models')()) -}}
{% endmacro %}

{% macro default__type_id() %}
    {{- return(dbt.type_bigint()) -}}
{% endmacro %}

{% macro clickhouse__type_id() %}
    {{- return('Nullable(Int64)') -}}
{% endmacro %}
