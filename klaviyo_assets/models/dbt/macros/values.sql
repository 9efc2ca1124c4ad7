{#- A value inside JSON text, as text; NULL if it is not there. path: list of member names. -#}
{% macro json_value(text, path) %}
    {{- adapter.dispatch('json_value', 'klaviyo_models')(text, path) -}}
{% endmacro %}

{% macro default__json_value(text, path) -%}
    json_extract_string(try_cast({{ text }} as json), '$."{{ path | join('"."') }}"')
{%- endmacro %}

{% macro postgres__json_value(text, path) -%}
    (nullif({{ text }}, '')::json #>> '{{ '{' ~ path | join(',') ~ '}' }}')
{%- endmacro %}

{% macro snowflake__json_value(text, path) -%}
    get_path(try_parse_json({{ text }}), '"{{ path | join('"."') }}"')::varchar
{%- endmacro %}

{% macro bigquery__json_value(text, path) -%}
    json_value(safe.parse_json({{ text }}), '$."{{ path | join('"."') }}"')
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
    if(json_type(to_json({{ column }})) = 'string', string(to_json({{ column }})), to_json_string({{ column }}))
{%- endmacro %}

{#- Text as a number; NULL if it is none, such as the digest of a hashed column. -#}
{% macro number(text) %}
    {{- adapter.dispatch('number', 'klaviyo_models')(text) -}}
{% endmacro %}

{% macro default__number(text) -%}
    {{ dbt.safe_cast(text, dbt.type_numeric()) }}
{%- endmacro %}

{% macro duckdb__number(text) -%}
    try_cast({{ text }} as {{ dbt.type_numeric() }})
{%- endmacro %}
