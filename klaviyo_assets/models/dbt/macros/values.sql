{#- A value inside JSON text, as text; NULL if it is not there. path: list of member names. -#}
{% macro json_value(text, path) %}
    {{- adapter.dispatch('json_value', 'klaviyo_models')(text, path) -}}
{% endmacro %}

{% macro default__json_value(text, path) -%}
    json_extract_string(try_cast({{ text }} as json), '$."{{ path | join('"."') }}"')
{%- endmacro %}

{% macro postgres__json_value(text, path) -%}
    (case when {{ is_json(text, '^\s*[{]', '^\s*[{]') }} then ({{ text }})::json end #>> '{{ '{' ~ path | join(',') ~ '}' }}')
{%- endmacro %}

{% macro snowflake__json_value(text, path) -%}
    get_path(try_parse_json({{ text }}), '"{{ path | join('"."') }}"')::varchar
{%- endmacro %}

{% macro bigquery__json_value(text, path) -%}
    json_value(safe.parse_json({{ text }}), '$."{{ path | join('"."') }}"')
{%- endmacro %}

{% macro clickhouse__json_value(text, path) -%}
    JSONExtract(ifNull({{ text }}, ''), '{{ path | join("', '") }}', 'Nullable(String)')
{%- endmacro %}

{#- JSON of whatever type the column has, as text. -#}
{% macro json_text(column) %}
    {{- adapter.dispatch('json_text', 'klaviyo_models')(column) -}}
{% endmacro %}

{% macro default__json_text(column) -%}
    cast({{ column }} as {{ dbt.type_string() }})
{%- endmacro %}

{% macro snowflake__json_text(column) -%}
    iff(typeof(to_variant({{ column }})) = 'VARCHAR', to_variant({{ column }})::varchar, to_json(to_variant({{ column }})))
{%- endmacro %}

{% macro bigquery__json_text(column) -%}
    case
        when {{ column }} is null then null
        when json_type(to_json({{ column }})) = 'string' then string(to_json({{ column }}))
        else to_json_string({{ column }})
    end
{%- endmacro %}

{#- Text as a number; NULL if it is none, such as the digest of a hashed column, or too large: whoever loads a shop's page can
    send an event, and a sum or a product that no column holds would fail the whole build. below: what is too large. -#}
{% macro number(text, below='1000000000000000') %}
    {%- set number = adapter.dispatch('number', 'klaviyo_models')(text) -%}
    case when abs({{ number }}) < {{ below }} then {{ number }} end
{%- endmacro %}

{% macro default__number(text) -%}
    {{ dbt.safe_cast(text, dbt.type_numeric()) }}
{%- endmacro %}

{#- Postgres has no cast that gives NULL: text is looked at first. -#}
{% macro postgres__number(text) -%}
    case when {{ text }} ~ '^\s*[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d{1,3})?\s*$'
        then case when abs(cast({{ text }} as numeric)) < 1e22 then cast({{ text }} as {{ dbt.type_numeric() }}) end
    end
{%- endmacro %}

{% macro clickhouse__number(text) -%}
    accurateCastOrNull(round(toDecimal128OrNull({{ text }}, 12), 6), 'Decimal(28, 6)')
{%- endmacro %}

{% macro duckdb__number(text) -%}
    try_cast({{ text }} as {{ dbt.type_numeric() }})
{%- endmacro %}

{#- The value of a column as a number with decimals. -#}
{% macro amount(column, value) %}
    {{- return(adapter.dispatch('amount', 'klaviyo_models')(column, value)) -}}
{% endmacro %}

{% macro default__amount(column, value) -%}
    {{- return("cast(" ~ value ~ " as " ~ dbt.type_numeric() ~ ")") -}}
{%- endmacro %}

{#- A cast of 4.1 with a floating point would be 4.099999 there. -#}
{% macro clickhouse__amount(column, value) -%}
    {%- if 'Float' in column.data_type -%}
        {{- return(number("toString(" ~ value ~ ")")) -}}
    {%- endif -%}
    {{- return("cast(" ~ value ~ " as " ~ dbt.type_numeric() ~ ")") -}}
{%- endmacro %}
