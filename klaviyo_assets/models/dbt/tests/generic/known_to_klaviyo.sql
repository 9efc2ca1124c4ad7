{#- Every id in the column is one that Klaviyo's table has, deleted rows included; nothing if that table is turned off. -#}
{% test known_to_klaviyo(model, column_name, table) %}
with known as (
    {{ source_rows('klaviyo', table, [{'name': 'id', 'type': dbt.type_string()}]) }}
)

select model.{{ column_name }} as {{ column_name }}, count(*) as number_of_rows
from {{ model }} as model
left join known
    on known.id = model.{{ column_name }} and known.source_relation = model.source_relation
where model.{{ column_name }} is not null
    and known.id is null
    and model.source_relation in (select source_relation from known)
group by model.{{ column_name }}
{% endtest %}
