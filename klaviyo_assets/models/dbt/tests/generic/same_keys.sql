{#- The model has exactly the keys of another one. -#}
{% test same_keys(model, compared_to, columns) %}
select {{ columns | join(', ') }}, sum(difference) as difference
from (
    select {{ columns | join(', ') }}, 1 as difference from {{ model }}
    union all
    select {{ columns | join(', ') }}, -1 as difference from {{ compared_to }}
) as both_models
group by {{ columns | join(', ') }}
having sum(difference) <> 0
{% endtest %}
