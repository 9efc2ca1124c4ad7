{#- The length of an array that is JSON text; 0 of what is none. -#}
{% macro array_length(text) %}
    {{- adapter.dispatch('array_length', 'klaviyo_models')(text) -}}
{% endmacro %}

{% macro default__array_length(text) -%}
    coalesce(json_array_length(try_cast({{ text }} as json)), 0)
{%- endmacro %}

{% macro postgres__array_length(text) -%}
    case when {{ is_json(text, '^\s*\[', '^\s*\[\s*["{].*["}]\s*\]\s*$') }} then json_array_length(({{ text }})::json) else 0 end
{%- endmacro %}

{% macro snowflake__array_length(text) -%}
    coalesce(array_size(try_parse_json({{ text }})), 0)
{%- endmacro %}

{% macro bigquery__array_length(text) -%}
    coalesce(array_length(json_query_array({{ text }}, '$')), 0)
{%- endmacro %}

{% macro clickhouse__array_length(text) -%}
    case when JSONType(ifNull({{ text }}, '')) = 'Array' then JSONLength(ifNull({{ text }}, '')) else 0 end
{%- endmacro %}

{#- An item of an array that is JSON text, as JSON text. number: from 0. -#}
{% macro array_item(text, number) %}
    {{- adapter.dispatch('array_item', 'klaviyo_models')(text, number) -}}
{% endmacro %}

{% macro default__array_item(text, number) -%}
    cast(json_extract(try_cast({{ text }} as json), {{ number }}) as varchar)
{%- endmacro %}

{% macro postgres__array_item(text, number) -%}
    (({{ text }})::json -> cast({{ number }} as int))::text
{%- endmacro %}

{% macro snowflake__array_item(text, number) -%}
    to_json(get(try_parse_json({{ text }}), {{ number }}))
{%- endmacro %}

{% macro bigquery__array_item(text, number) -%}
    json_query_array({{ text }}, '$')[safe_offset({{ number }})]
{%- endmacro %}

{% macro clickhouse__array_item(text, number) -%}
    nullIf(JSONExtractRaw(ifNull({{ text }}, ''), toInt32({{ number }} + 1)), '')
{%- endmacro %}

{#- A member of an object that is JSON text, whatever it is, as JSON text; NULL if it is not there. -#}
{% macro json_member(text, name) %}
    {{- adapter.dispatch('json_member', 'klaviyo_models')(text, name) -}}
{% endmacro %}

{% macro default__json_member(text, name) -%}
    cast(json_extract(try_cast({{ text }} as json), '$."{{ name }}"') as varchar)
{%- endmacro %}

{% macro postgres__json_member(text, name) -%}
    (case when {{ is_json(text, '^\s*[{]', '^\s*[{]\s*".*[}]\s*$') }} then ({{ text }})::json end -> '{{ name }}')::text
{%- endmacro %}

{% macro snowflake__json_member(text, name) -%}
    to_json(get_path(try_parse_json({{ text }}), '"{{ name }}"'))
{%- endmacro %}

{% macro bigquery__json_member(text, name) -%}
    json_query({{ text }}, '$."{{ name }}"')
{%- endmacro %}

{% macro clickhouse__json_member(text, name) -%}
    nullIf(JSONExtractRaw(ifNull({{ text }}, ''), '{{ name }}'), '')
{%- endmacro %}

{#- The last of `numbers`. -#}
{% macro most_numbers() -%}
    9999
{%- endmacro %}

{#- The numbers from 0 to 9,999, as the column `number`. -#}
{% macro numbers() -%}
    select thousands.digit * 1000 + hundreds.digit * 100 + tens.digit * 10 + ones.digit as number
    from ({{ _digits() }}) as thousands
    cross join ({{ _digits() }}) as hundreds
    cross join ({{ _digits() }}) as tens
    cross join ({{ _digits() }}) as ones
{%- endmacro %}

{%- macro _digits() -%}
    {%- for digit in range(10) -%}
    {{ ' union all ' if not loop.first }}select {{ digit }} as digit
    {%- endfor -%}
{%- endmacro -%}

{#- The first of some members of an object that is JSON text, as text. -#}
{% macro json_first(text, names) -%}
    coalesce(
        {%- for name in names %}
        {{ json_value(text, [name]) }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
