{#- Drop the views of staging/ at the end of a build, where they would stay: a view keeps Postgres from changing the
    types of the columns that it shows, which a sync has to. -#}
{% macro drop_staging_views() %}
    {%- if execute and target.type != 'duckdb' -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'view' %}
    drop view if exists {{ api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) }} cascade;
        {%- endfor %}
    {%- endif -%}
{% endmacro %}
