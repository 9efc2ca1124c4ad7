{#- The rows of a source table, of all accounts, with the columns that the models need and no others.

    columns: {name, type, other names that the column may have}. A column or a whole table that does not exist is NULL
    or empty: Klaviyo may never have filled it, or the table is turned off. -#}
{% macro source_rows(source_name, table_name, columns, pass_through=[]) %}
    {%- set parts = [] -%}
    {%- for place in source_places(source_name, table_name) -%}
        {%- set relation = adapter.get_relation(place.database, place.schema, place.identifier) if execute -%}
        {%- set existing = {} -%}
        {%- if relation -%}
            {%- for column in adapter.get_columns_in_relation(relation) -%}
                {%- do existing.update({column.name | lower: column}) -%}
            {%- endfor -%}
        {%- endif -%}
        {%- set part -%}
        select
            {%- for column in columns %}
            {{ _typed(existing, [column.name] + column.get('or', []), column.type) }} as {{ adapter.quote(column.name) }},
            {%- endfor %}
            {%- for column in pass_through %}
            {{ adapter.quote(existing[column.name].name) if column.name in existing else 'null' }} as {{ column.alias or column.name }},
            {%- endfor %}
            cast('{{ place.source_relation }}' as {{ dbt.type_string() }}) as source_relation
        {%- if relation %}
        from {{ relation }}
        {%- else %}
        from (select 1 as nothing) as nothing
        where 1 = 0
        {%- endif %}
        {%- endset -%}
        {%- do parts.append(part) -%}
    {%- endfor -%}
    {{ parts | join('\n        union all\n        ') }}
{%- endmacro %}

{#- The first of some columns that has a value, as a type; NULL if none exists. A column that the setting hashed_columns
    names is text whatever it held, and its digests are no times and no numbers. -#}
{%- macro _typed(existing, names, type) -%}
    {%- set values = [] -%}
    {%- for name in names if name in existing -%}
        {%- set value = adapter.quote(existing[name].name) -%}
        {%- if existing[name].is_string() and type != dbt.type_string() -%}
            {%- set value = "case when " ~ value ~ " not like 'hmac-sha256:%' then " ~ value ~ " end" -%}
        {%- endif -%}
        {%- do values.append("cast(" ~ value ~ " as " ~ type ~ ")") -%}
    {%- endfor -%}
    {%- if values | length > 1 -%}
    coalesce({{ values | join(', ') }})
    {%- else -%}
    {{ values[0] if values else "cast(null as " ~ type ~ ")" }}
    {%- endif -%}
{%- endmacro -%}

{#- Where a source table lies: one place, or one for each account. -#}
{% macro source_places(source_name, table_name) %}
    {%- set home = source(source_name, table_name) -%}
    {%- set schemas = var('klaviyo_union_schemas', []) if source_name == 'klaviyo' else [] -%}
    {%- set databases = var('klaviyo_union_databases', []) if source_name == 'klaviyo' else [] -%}
    {%- if schemas and databases -%}
        {{ exceptions.raise_compiler_error('Set klaviyo_union_schemas or klaviyo_union_databases, not both.') }}
    {%- endif -%}
    {%- set places = [] -%}
    {%- for schema in schemas -%}
        {%- do places.append({'database': home.database, 'schema': schema, 'identifier': home.identifier, 'source_relation': schema}) -%}
    {%- endfor -%}
    {%- for database in databases -%}
        {%- do places.append({'database': database, 'schema': home.schema, 'identifier': home.identifier, 'source_relation': database}) -%}
    {%- endfor -%}
    {{ return(places or [{'database': home.database, 'schema': home.schema, 'identifier': home.identifier, 'source_relation': ''}]) }}
{% endmacro %}

{#- Select pass-through columns by their new names, converted if the variable says how. -#}
{% macro pass_through_columns(columns) %}
    {%- for column in columns %},
        {{ column.transform_sql or column.alias or column.name }} as {{ column.alias or column.name }}
    {%- endfor %}
{%- endmacro %}
