{#- Whether text says yes, as 1 or 0: properties are true or false, or were text when they came first. -#}
{% macro is_yes(text) -%}
    case when lower(replace({{ text }}, '"', '')) in ('true', '1', '1.0', 'yes') then 1 else 0 end
{%- endmacro %}

{#- Whether a condition is true in any of some rows; NULL if it is nowhere known. -#}
{% macro any_true(condition) -%}
    cast(max(case when {{ condition }} then 1 when not ({{ condition }}) then 0 end) = 1 as {{ dbt.type_boolean() }})
{%- endmacro %}

{#- A number of rows, or a sum of such numbers; 0 of none. -#}
{% macro total(number) -%}
    cast(coalesce(sum({{ number }}), 0) as {{ dbt.type_bigint() }})
{%- endmacro %}

{#- A sum of money; 0 of none. -#}
{% macro total_value(number) -%}
    cast(coalesce(sum({{ number }}), 0) as {{ dbt.type_numeric() }})
{%- endmacro %}

{#- A sum with a floating point, of cents for one, as the decimal number that was meant. -#}
{% macro without_noise(number) -%}
    cast(round(cast({{ number }} as {{ dbt.type_numeric() }}), 4) as {{ dbt.type_numeric() }})
{%- endmacro %}

{#- A part of a whole, or so much for each; NULL of nothing. -#}
{% macro rate(part, whole) -%}
    cast({{ part }} as {{ type_double() }}) / nullif(cast({{ whole }} as {{ type_double() }}), 0)
{%- endmacro %}

{#- An end of the 95 % confidence interval of a rate, by Wilson: it also holds for few. end: 'low' or 'high'. -#}
{% macro rate_end(part, whole, end) -%}
    {%- set n = "nullif(cast(" ~ whole ~ " as " ~ type_double() ~ "), 0)" -%}
    {%- set p = "(cast(" ~ part ~ " as " ~ type_double() ~ ") / " ~ n ~ ")" -%}
    (
        {{ p }} + 1.9208 / {{ n }}
        {{ '-' if end == 'low' else '+' }} 1.96 * sqrt({{ p }} * (1 - {{ p }}) / {{ n }} + 0.9604 / ({{ n }} * {{ n }}))
    ) / (1 + 3.8416 / {{ n }})
{%- endmacro %}

{#- The periods that the marts add up by. -#}
{% macro periods() %}
    {{- return(['day', 'week', 'month']) -}}
{% endmacro %}

{#- What messages come to: name, the action that is counted, and whose touches count. -#}
{% macro message_figures() %}
    {{ return([
        {'name': 'delivered', 'is': "action = 'delivered'"},
        {'name': 'bounced', 'is': "action = 'bounced'"},
        {'name': 'failed', 'is': "action = 'failed'"},
        {'name': 'dropped', 'is': "action = 'dropped'"},
        {'name': 'opened', 'is': "action = 'opened'"},
        {'name': 'opened_without_machines', 'is': "action = 'opened' and is_machine_open = 0"},
        {'name': 'clicked', 'is': "action = 'clicked'"},
        {'name': 'clicked_without_bots', 'is': "action = 'clicked' and is_bot_click = 0"},
        {'name': 'unsubscribed', 'is': "action = 'unsubscribed'"},
        {'name': 'marked_as_spam', 'is': "action = 'marked_as_spam'"},
    ]) }}
{% endmacro %}

{#- What orders come to: the beginning of the names, and whose credit it is. -#}
{% macro order_figures() %}
    {{ return([
        {'suffix': '', 'credited_by': 'event'},
        {'suffix': '_by_window', 'credited_by': 'window'},
        {'suffix': '_by_human_touch', 'credited_by': 'human'},
    ]) }}
{% endmacro %}

{#- The rates of messages, out of columns of message_figures. -#}
{% macro message_rates(prefix='unique_') -%}
    {{ rate('delivered', 'delivered + bounced + failed') }} as delivery_rate,
    {{ rate('bounced + failed', 'delivered + bounced + failed') }} as bounce_rate,
    {{ rate(prefix ~ 'opened', 'delivered') }} as open_rate,
    {{ rate(prefix ~ 'opened_without_machines', 'delivered') }} as open_rate_without_machines,
    {{ rate(prefix ~ 'clicked', 'delivered') }} as click_rate,
    {{ rate(prefix ~ 'clicked_without_bots', 'delivered') }} as click_rate_without_bots,
    {{ rate(prefix ~ 'clicked', prefix ~ 'opened') }} as click_to_open_rate,
    {{ rate(prefix ~ 'unsubscribed', 'delivered') }} as unsubscribe_rate,
    {{ rate(prefix ~ 'marked_as_spam', 'delivered') }} as spam_rate
{%- endmacro %}

{#- A row for each event of a message and for each credited order, with the figures that it adds to: 1 or 0, and its value.
    The arguments are the relations of these names. -#}
{% macro what_happened(message_events, order_credits) -%}
    {%- set columns = [
        'source_relation', 'message_type', 'campaign_id', 'flow_id', 'message_id', 'variation_id', 'channel', 'person_id',
        'occurred_on', 'sent_at', 'sent_on',
    ] -%}
    select
        {{ columns | join(', ') }},
        inbox_provider,
        email_domain,
        bounce_type,
        subject
        {%- for figure in message_figures() %},
        case when {{ figure.is }} then 1 else 0 end as {{ figure.name }}
        {%- endfor %}
        {%- for credit in order_figures() %},
        0 as orders{{ credit.suffix }},
        cast(0 as {{ dbt.type_numeric() }}) as revenue{{ credit.suffix }}
        {%- endfor %}
    from {{ message_events }}
    where action <> 'other'

    union all

    select
        {{ columns | join(', ') }},
        cast(null as {{ dbt.type_string() }}) as inbox_provider,
        cast(null as {{ dbt.type_string() }}) as email_domain,
        cast(null as {{ dbt.type_string() }}) as bounce_type,
        cast(null as {{ dbt.type_string() }}) as subject
        {%- for figure in message_figures() %},
        0 as {{ figure.name }}
        {%- endfor %}
        {%- for credit in order_figures() %},
        case when credited_by = '{{ credit.credited_by }}' then 1 else 0 end as orders{{ credit.suffix }},
        case when credited_by = '{{ credit.credited_by }}' then order_value else 0 end as revenue{{ credit.suffix }}
        {%- endfor %}
    from {{ order_credits }}
    where message_id is not null
{%- endmacro %}

{#- The figures of what_happened, added up. -#}
{% macro sums_of_figures() %}
    {%- for figure in message_figures() %},
        sum({{ figure.name }}) as {{ figure.name }}
    {%- endfor %}
    {%- for credit in order_figures() %},
        sum(orders{{ credit.suffix }}) as orders{{ credit.suffix }},
        sum(revenue{{ credit.suffix }}) as revenue{{ credit.suffix }}
    {%- endfor %}
{%- endmacro %}

{#- The figures of rows that are one person each, added up, and how many people had them; rows of nobody are no person. -#}
{% macro figures_of_people(prefix='unique_') %}
    {%- for figure in message_figures() %},
        {{ total(figure.name) }} as {{ figure.name }},
        count(case when {{ figure.name }} > 0 then person_id end) as {{ prefix }}{{ figure.name }}
    {%- endfor %}
    {%- for credit in order_figures() %},
        {{ total('orders' ~ credit.suffix) }} as orders{{ credit.suffix }},
        count(case when orders{{ credit.suffix }} > 0 then person_id end) as {{ prefix }}orders{{ credit.suffix }},
        {{ total_value('revenue' ~ credit.suffix) }} as revenue{{ credit.suffix }}
    {%- endfor %}
{%- endmacro %}

{#- The columns of figures_of_people; 0 where there is no row. relation: where they are. -#}
{% macro select_figures(relation, prefix='unique_') %}
    {%- for figure in message_figures() %},
    coalesce({{ relation }}.{{ figure.name }}, 0) as {{ figure.name }},
    coalesce({{ relation }}.{{ prefix }}{{ figure.name }}, 0) as {{ prefix }}{{ figure.name }}
    {%- endfor %}
    {%- for credit in order_figures() %},
    coalesce({{ relation }}.orders{{ credit.suffix }}, 0) as orders{{ credit.suffix }},
    coalesce({{ relation }}.{{ prefix }}orders{{ credit.suffix }}, 0) as {{ prefix }}orders{{ credit.suffix }},
    coalesce({{ relation }}.revenue{{ credit.suffix }}, 0) as revenue{{ credit.suffix }}
    {%- endfor %}
{%- endmacro %}
