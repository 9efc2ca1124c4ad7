{#- Drop the views of staging/ at the end of a build, where they would stay: a view keeps Postgres from changing the
    types of the columns that it shows, which a sync has to. -#}
{% macro drop_staging_views() %}
    {%- if execute and target.type != 'duckdb' -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'view' -%}
            {%- do adapter.drop_relation(
                api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias, type='view')
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
