{#- A view of the user's on a model would be dropped with the table that it shows: there the rows are replaced instead, in
    one transaction. Columns follow as they do in an incremental model. -#}
{% materialization table, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is none or not existing.is_table or not is_shown_by_views(existing) -%}
        {{ return(dbt.materialization_table_default()) }}
    {%- endif -%}
    {%- set made = make_temp_relation(this) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do run_query(get_create_table_as_sql(True, made, sql)) -%}
    {%- do process_schema_changes('sync_all_columns', made, existing) -%}
    {%- set columns = adapter.get_columns_in_relation(made) | map(attribute='quoted') | join(', ') -%}
    {%- call statement('main') -%}
        delete from {{ existing }};
        insert into {{ existing }} ({{ columns }}) select {{ columns }} from {{ made }};
    {%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [existing]}) }}
{% endmaterialization %}

{#- Whether views, materialized ones included, show a table of Postgres'. -#}
{% macro is_shown_by_views(relation) %}
    {%- set found = run_query(
        "select 1 from pg_catalog.pg_depend where classid = 'pg_catalog.pg_rewrite'::regclass "
        ~ "and refclassid = 'pg_catalog.pg_class'::regclass and refobjid = "
        ~ dbt.string_literal(dbt.escape_single_quotes(relation.include(database=False) | string)) ~ "::regclass limit 1"
    ) -%}
    {{ return(found.rows | length > 0) }}
{% endmacro %}

{#- As dbt does it, but that a view which shows the column fails the build, and is not dropped. -#}
{% macro postgres__alter_column_type(relation, column_name, new_column_type) %}
    {%- set column, made = adapter.quote(column_name), adapter.quote(column_name ~ '__dbt_alter') -%}
    {%- call statement('alter_column_type') -%}
        alter table {{ relation }} add column {{ made }} {{ new_column_type }};
        update {{ relation }} set {{ made }} = {{ column }};
        alter table {{ relation }} drop column {{ column }};
        alter table {{ relation }} rename column {{ made }} to {{ column }}
    {%- endcall -%}
{% endmacro %}

{#- The condition that text is JSON: Postgres has no cast that gives NULL, and a property, or the digest of one, may be text that
    only looks like it. begins: a pattern. looks: one of the whole, for Postgres 15, which can't be asked. -#}
{% macro is_json(text, begins, looks) %}
    {%- set version = run_query("select current_setting('server_version_num')::int").rows[0][0] if execute else 0 -%}
    {%- if version >= 160000 -%}
    {{ text }} ~ '{{ begins }}' and pg_input_is_valid({{ text }}, 'jsonb')
    {%- else -%}
    {{ text }} ~ '{{ looks }}'
    {%- endif -%}
{% endmacro %}
