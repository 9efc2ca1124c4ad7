{#- The rows of a source table, of all accounts, with the columns that the models need and no others.

    columns: {name, type, other names that the column may have}; type: `json` is its text, `id` a whole number, or text in
    a shop whose ids are text. A column or a whole table that does not exist is NULL or empty: Klaviyo may never have
    filled it, or the table is turned off. pass_through: columns to take along, by their new names and with the types
    that they have, as text if these are of no one kind. -#}
{% macro source_rows(source_name, table_name, columns, pass_through=[]) %}
    {%- set parts, tables = [], source_tables(source_name, table_name) -%}
    {%- set id_type = type_of_ids() if columns | selectattr('type', 'equalto', 'id') | list else '' -%}
    {%- for table in tables -%}
        {%- set part -%}
        select
            {%- for column in columns %}
            {%- set type = id_type if column.type == 'id' else column.type %}
            {{ _typed(table.columns, [column.name] + column.get('or', []), type) }} as {{ quoted(column.name) }},
            {%- endfor %}
            {%- for column in pass_through %}
            {{ _taken_along(tables, table.columns, column.name | lower) }} as {{ column.alias }},
            {%- endfor %}
            cast({{ dbt.string_literal(dbt.escape_single_quotes(table.source_relation)) }} as {{ dbt.type_string() }}) as source_relation
        {%- if table.relation %}
        from {{ table.relation }}
        {%- else %}
        from (select 1 as nothing) as nothing
        where 1 = 0
        {%- endif %}
        {%- endset -%}
        {%- do parts.append(part) -%}
    {%- endfor -%}
    {{ parts | join('\n        union all\n        ') }}
{%- endmacro %}

{#- A column of one account, NULL if it has none, such that a union takes it beside those of the others. -#}
{%- macro _taken_along(tables, existing, name) -%}
    {%- set types, texts = [], [] -%}
    {%- for table in tables if name in table.columns -%}
        {%- set column = table.columns[name] -%}
        {%- do types.append(column.data_type) -%}
        {%- if column.is_string() or 'json' in column.data_type | lower or 'bool' in column.data_type | lower -%}
            {%- do texts.append(name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set value = adapter.quote(existing[name].name) if name in existing else 'null' -%}
    {%- if name in existing and texts and 'json' in existing[name].data_type | lower -%}
        {%- set value = json_text(value) -%}
    {%- endif -%}
    {%- if types | unique | list | length == 1 and name not in existing -%}
    cast(null as {{ types[0] }})
    {%- elif types | unique | list | length > 1 and (texts or name not in existing) -%}
    cast({{ value }} as {{ dbt.type_string() if texts else types[0] }})
    {%- else -%}
    {{ value }}
    {%- endif -%}
{%- endmacro -%}

{#- The first of some columns that has a value, as a type, or as the text of JSON; NULL if none exists. A column that the
    setting hashed_columns names is text whatever it held, and its digests are no times and no numbers. -#}
{%- macro _typed(existing, names, type) -%}
    {%- set values = [] -%}
    {%- for name in names if name in existing -%}
        {%- set value = adapter.quote(existing[name].name) -%}
        {%- if type == 'json' -%}
            {%- do values.append(value if existing[name].is_string() else json_text(value)) -%}
        {%- else -%}
            {%- if existing[name].is_string() and type != dbt.type_string() -%}
                {%- set value = "case when " ~ value ~ " not like 'hmac-sha256:%' then " ~ value ~ " end" -%}
            {%- endif -%}
            {%- if type == dbt.type_timestamp() -%}
                {%- do values.append(moment(existing[name], value)) -%}
            {%- elif type == dbt.type_numeric() -%}
                {%- do values.append(amount(existing[name], value)) -%}
            {%- elif type == dbt.type_string() and 'json' in existing[name].data_type | lower -%}
                {%- do values.append(json_text(value)) -%}
            {%- else -%}
                {%- do values.append("cast(" ~ value ~ " as " ~ type ~ ")") -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if values | length > 1 -%}
    coalesce({{ values | join(', ') }})
    {%- else -%}
    {{ values[0] if values else "cast(null as " ~ (dbt.type_string() if type == 'json' else type) ~ ")" }}
    {%- endif -%}
{%- endmacro -%}

{#- A source table of each account: its source_relation, its relation if it exists, and its columns, by their names in
    lower case. -#}
{% macro source_tables(source_name, table_name) %}
    {%- set tables = [] -%}
    {%- for place in source_places(source_name, table_name) -%}
        {%- set relation = adapter.get_relation(place.database, place.schema, place.identifier) if execute -%}
        {%- set columns = {} -%}
        {%- if relation -%}
            {%- for column in adapter.get_columns_in_relation(relation) -%}
                {%- do columns.update({column.name | lower: column}) -%}
            {%- endfor -%}
        {%- endif -%}
        {%- do tables.append({'source_relation': place.source_relation, 'relation': relation, 'columns': columns}) -%}
    {%- endfor -%}
    {{ return(tables) }}
{% endmacro %}

{#- What ids are in the shop. -#}
{% macro type_of_ids() %}
    {%- set columns = source_tables('shopify', 'order')[0].columns -%}
    {{ return(dbt.type_string() if 'id' in columns and columns.id.is_string() else type_id()) }}
{% endmacro %}

{#- Whether any account has a source table. -#}
{% macro has_table(source_name, table_name) %}
    {{ return(source_tables(source_name, table_name) | map(attribute='relation') | select | list | length > 0) }}
{% endmacro %}

{#- Where a source table lies: one place, or one for each account. source_relation is what dbt_klaviyo 1.4 calls it. -#}
{% macro source_places(source_name, table_name) %}
    {%- set home = source(source_name, table_name) -%}
    {%- set is_klaviyo = source_name == 'klaviyo' -%}
    {%- set accounts = var('klaviyo_sources', []) if is_klaviyo else [] -%}
    {%- set schemas = var('klaviyo_union_schemas', []) if is_klaviyo else [] -%}
    {%- set databases = var('klaviyo_union_databases', []) if is_klaviyo else [] -%}
    {%- if [accounts, schemas, databases] | select | list | length > 1 -%}
        {{ exceptions.raise_compiler_error('Set one of klaviyo_sources, klaviyo_union_schemas and klaviyo_union_databases.') }}
    {%- endif -%}
    {%- set places = [] -%}
    {%- for account in accounts -%}
        {%- set database, schema = account.database or home.database, account.schema or 'klaviyo' -%}
        {%- do places.append({'database': database, 'schema': schema, 'source_relation': _told(database, schema)}) -%}
    {%- endfor -%}
    {%- for schema in schemas -%}
        {%- do places.append({'database': home.database, 'schema': schema, 'source_relation': schema | lower}) -%}
    {%- endfor -%}
    {%- for database in databases -%}
        {%- do places.append({'database': database, 'schema': home.schema, 'source_relation': database | lower}) -%}
    {%- endfor -%}
    {%- if not places -%}
        {%- set name = var('klaviyo__source_relation', none) if is_klaviyo else '' -%}
        {%- set name = _told(home.database, home.schema) if name is none else name -%}
        {%- do places.append({'database': home.database, 'schema': home.schema, 'source_relation': name}) -%}
    {%- endif -%}
    {%- for place in places -%}
        {%- do place.update({'identifier': home.identifier}) -%}
    {%- endfor -%}
    {{ return(places) }}
{% endmacro %}

{#- What is said of a place: ClickHouse has nothing above a schema. -#}
{%- macro _told(database, schema) -%}
    {{- return(database ~ '.' ~ schema if database else schema) -}}
{%- endmacro -%}

{#- The columns that a variable takes along: name, alias, and what else it says of each. -#}
{% macro pass_through(variable) %}
    {%- set columns = [] -%}
    {%- for given in var(variable) -%}
        {%- set column = {'name': given} if given is string else given -%}
        {%- do columns.append(dict(column, alias=column.alias or column.name)) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}

{#- Select pass-through columns of a source table by their new names, converted if the variable says how. One that no
    account has is text, or what the variable says in `datatype`. -#}
{% macro select_pass_through(source_name, table_name, columns) %}
    {%- set existing = [] -%}
    {%- for table in source_tables(source_name, table_name) if columns -%}
        {%- do existing.extend(table.columns) -%}
    {%- endfor -%}
    {%- for column in columns %}
        {%- set value = column.transform_sql or column.alias -%}
        {%- if column.name | lower not in existing -%}
            {%- set value = "cast(" ~ value ~ " as " ~ (column.datatype or dbt.type_string()) ~ ")" -%}
        {%- endif %},
        {{ value }} as {{ column.alias }}
    {%- endfor %}
{%- endmacro %}

{#- A property of an event: in a column of its own, or, where properties are packed, under its own name among the others. -#}
{% macro property(column, name) -%}
    coalesce({{ column }}, {{ json_value(without_dollar('custom_property_fields', name), [name | replace('$', '')]) }})
{%- endmacro %}

{#- A property that is a list or an object, as JSON text. -#}
{% macro json_property(column, name) -%}
    coalesce({{ column }}, {{ json_member(without_dollar('custom_property_fields', name), name | replace('$', '')) }})
{%- endmacro %}

{#- JSON text whose member of a name is called without `$`, which some warehouses take for a sign of their own in a path, and
    before a name. Values keep theirs: `$25 Gift Card`. -#}
{% macro without_dollar(text, name) -%}
    {%- set bare = name | replace('$', '') -%}
    {%- if bare != name -%}
    replace({{ text }}, {{ dbt.concat(["'\"$'", "'" ~ bare ~ "\":'"]) }}, '"{{ bare }}":')
    {%- else -%}
    {{ text }}
    {%- endif -%}
{%- endmacro %}
