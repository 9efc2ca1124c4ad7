{#- The numbers of the model, added up, are those of the events. prefix: of their names. -#}
{% test metrics_add_up(model, events, prefix='') %}
with own as (
    select
        count(*) as number_of_rows
        {%- for column in metric_columns() %},
        coalesce(sum({{ prefix }}{{ column.name }}), 0) as {{ column.name }}
        {%- endfor %}
    from {{ model }}
),

expected as (
    select
        count(*) as number_of_events
        {{- pivot_metrics() }}
    from {{ events }}
)

select own.*
from own
cross join expected
where 1 = 0
    {%- for column in metric_columns() %}
    or own.{{ column.name }} <> coalesce(expected.{{ column.name }}, 0)
    {%- endfor %}
{% endtest %}
