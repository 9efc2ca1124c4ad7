{#- The statistics of Klaviyo's reports that are compared: name, whether events, people or their value are added up, and of what. -#}
{% macro compared_statistics() %}
    {{ return([
        {'name': 'delivered', 'sums': 'events', 'of': 'delivered'},
        {'name': 'bounced', 'sums': 'events', 'of': 'bounced'},
        {'name': 'failed', 'sums': 'events', 'of': 'failed'},
        {'name': 'opens', 'sums': 'events', 'of': 'opened'},
        {'name': 'opens_unique', 'sums': 'people', 'of': 'opened'},
        {'name': 'clicks', 'sums': 'events', 'of': 'clicked'},
        {'name': 'clicks_unique', 'sums': 'people', 'of': 'clicked'},
        {'name': 'unsubscribes', 'sums': 'events', 'of': 'unsubscribed'},
        {'name': 'unsubscribe_uniques', 'sums': 'people', 'of': 'unsubscribed'},
        {'name': 'spam_complaints', 'sums': 'events', 'of': 'marked_as_spam'},
        {'name': 'conversions', 'sums': 'events', 'of': 'ordered'},
        {'name': 'conversion_uniques', 'sums': 'people', 'of': 'ordered'},
        {'name': 'conversion_value', 'sums': 'value', 'of': 'ordered'},
    ]) }}
{% endmacro %}

{#- What makes numbers differ, in the order in which it is taken into account: each is a step from ours to Klaviyo's. -#}
{% macro difference_steps() %}
    {{ return([
        'time_zone', 'conversion_metric', 'attribution_window', 'machine_opens', 'bot_clicks', 'cancelled_orders',
        'events_after_report', 'deleted_profiles',
    ]) }}
{% endmacro %}

{#- The number of a step. -#}
{% macro step_number(cause) %}
    {{ return(difference_steps().index(cause) + 1) }}
{% endmacro %}

{#- The number of a step that never comes. -#}
{% macro no_step() %}
    {{- return(99) -}}
{% endmacro %}

{#- The columns of why_numbers_differ that a difference is made of, but for what is unexplained. -#}
{% macro difference_causes() %}
    {{ return(difference_steps() + ['events_not_read_yet']) }}
{% endmacro %}

{#- The day that a report of all days has, instead of a day. -#}
{% macro no_day() -%}
    cast('1970-01-01' as {{ type_date() }})
{%- endmacro %}

{#- The day of a moment where its account is: by the variable klaviyo__timezone, else as the account has it, else in UTC.
    accounts: a relation with the time zone of each, which is not there if nothing is built. -#}
{% macro account_day(moment, accounts) -%}
    {%- set own, zones = var('klaviyo__timezone'), [] -%}
    {%- if execute and not own and load_relation(accounts) -%}
        {%- for row in run_query('select source_relation, timezone from ' ~ accounts ~ ' order by 1').rows -%}
            {%- if row[1] in modules.pytz.all_timezones -%}
                {%- do zones.append({'source_relation': row[0], 'name': row[1]}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if own and own not in modules.pytz.all_timezones -%}
        {{ exceptions.raise_compiler_error('klaviyo__timezone: ' ~ own ~ ' is no time zone. Give one like Europe/Copenhagen.') }}
    {%- elif own -%}
    {{ day_in_zone(moment, own) }}
    {%- elif zones -%}
    case
        {%- for zone in zones %}
        when source_relation = {{ dbt.string_literal(dbt.escape_single_quotes(zone.source_relation)) }} then {{ day_in_zone(moment, zone.name) }}
        {%- endfor %}
        else {{ day_of(moment) }}
    end
    {%- else -%}
    {{ day_of(moment) }}
    {%- endif -%}
{%- endmacro %}
