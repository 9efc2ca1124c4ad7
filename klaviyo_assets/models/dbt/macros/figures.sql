{#- Whether text says yes, as 1 or 0: properties are true or false, or were text when they came first. -#}
{% macro is_yes(text) -%}
    case when lower(replace({{ text }}, '"', '')) in ('true', '1', '1.0', 'yes') then 1 else 0 end
{%- endmacro %}

{#- A number of rows, or a sum of such numbers; 0 of none. -#}
{% macro total(number) -%}
    cast(coalesce(sum({{ number }}), 0) as {{ dbt.type_bigint() }})
{%- endmacro %}

{#- A sum of money; 0 of none. -#}
{% macro total_value(number) -%}
    cast(coalesce(sum({{ number }}), 0) as {{ dbt.type_numeric() }})
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
        {{ p }} + 1.9207 / {{ n }}
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
{% macro message_rates() -%}
    {{ rate('delivered', 'delivered + bounced + failed') }} as delivery_rate,
    {{ rate('bounced + failed', 'delivered + bounced + failed') }} as bounce_rate,
    {{ rate('unique_opened', 'delivered') }} as open_rate,
    {{ rate('unique_opened_without_machines', 'delivered') }} as open_rate_without_machines,
    {{ rate('unique_clicked', 'delivered') }} as click_rate,
    {{ rate('unique_clicked_without_bots', 'delivered') }} as click_rate_without_bots,
    {{ rate('unique_clicked', 'unique_opened') }} as click_to_open_rate,
    {{ rate('unique_unsubscribed', 'delivered') }} as unsubscribe_rate,
    {{ rate('unique_marked_as_spam', 'delivered') }} as spam_rate
{%- endmacro %}
