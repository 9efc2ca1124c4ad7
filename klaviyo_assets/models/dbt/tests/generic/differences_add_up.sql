{#- A difference is what its causes come to, and what is unexplained. -#}
{% test differences_add_up(model) %}
select statistic, count(*) as number_of_rows
from {{ model }}
where difference <> klaviyo - ours
    or difference <> unexplained
        {%- for cause in difference_causes() %}
        + {{ cause }}
        {%- endfor %}
group by statistic
{% endtest %}
