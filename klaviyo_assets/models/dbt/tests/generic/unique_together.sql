{#- No two rows have the same values in all of these columns; NULL equals NULL. -#}
{% test unique_together(model, columns) %}
select {{ columns | join(', ') }}, count(*) as number_of_rows
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
