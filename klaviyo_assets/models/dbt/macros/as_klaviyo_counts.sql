{#- How long a touch is credited, by channel and action, in hours: Klaviyo's settings, which no API tells. A touch without a
    window earns no credit. -#}
{% macro attribution_windows() %}
    {%- set joined_early = var('klaviyo__joined_before_2024_10_09') -%}
    {%- set early = {'text_click': 24, 'text_delivery': 0} if joined_early else {'text_click': 120, 'text_delivery': 12} -%}
    {%- set windows = [] -%}
    {%- for channel, touch, action in [
        ('email', 'open', 'opened'), ('email', 'click', 'clicked'),
        ('text', 'open', 'opened'), ('text', 'click', 'clicked'), ('text', 'delivery', 'delivered'),
        ('push', 'open', 'opened'),
        ('whatsapp', 'open', 'opened'), ('whatsapp', 'click', 'clicked'),
    ] -%}
        {%- set hours = var('klaviyo__' ~ channel ~ '_' ~ touch ~ '_attribution_window') -%}
        {%- set hours = early[channel ~ '_' ~ touch] if hours is none else hours -%}
        {%- if hours > 0 -%}
            {%- do windows.append({'channel': channel, 'action': action, 'hours': hours}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(windows) }}
{% endmacro %}

{#- The hours in which an event of a message is credited with an order; NULL if it is no touch, by the settings, of which
    no window may be left. -#}
{% macro attribution_window(channel, action, is_machine_open, is_bot_click) -%}
    case
        when 1 = 0 then 0
        {%- if var('klaviyo__exclude_machine_opens') %}
        when {{ is_machine_open }} = 1 then null
        {%- endif %}
        {%- if var('klaviyo__exclude_bot_clicks') %}
        when {{ is_bot_click }} = 1 then null
        {%- endif %}
        {%- for window in attribution_windows() %}
        when {{ channel }} = '{{ window.channel }}' and {{ action }} = '{{ window.action }}' then {{ window.hours }}
        {%- endfor %}
    end
{%- endmacro %}

{#- What a message was sent over, by the name of a metric: Received Email -> email. -#}
{% macro message_channel(type) -%}
    case
        when lower({{ type }}) like '%whatsapp%' then 'whatsapp'
        when lower({{ type }}) like '%sms%' or lower({{ type }}) like '%text messag%' then 'text'
        when lower({{ type }}) like '%push%' then 'push'
        else 'email'
    end
{%- endmacro %}

{#- What became of a message, by the name of a metric: Received Email -> delivered. Sent SMS is a text that a person sent. -#}
{% macro message_action(type) -%}
    case
        when lower({{ type }}) like 'received %' then 'delivered'
        when lower({{ type }}) like 'opened %' or lower({{ type }}) like 'read %' then 'opened'
        when lower({{ type }}) like 'clicked %' then 'clicked'
        when lower({{ type }}) like 'bounced %' then 'bounced'
        when lower({{ type }}) like 'failed to deliver %' then 'failed'
        when lower({{ type }}) like 'dropped %' then 'dropped'
        when lower({{ type }}) like 'marked % as spam' then 'marked_as_spam'
        when lower({{ type }}) = 'unsubscribed' or lower({{ type }}) like 'unsubscribed from %' then 'unsubscribed'
        else 'other'
    end
{%- endmacro %}

{#- The kinds of touches that have a window of their own: those of people, and those of machines and bots. -#}
{% macro touch_kinds() %}
    {%- set kinds = [] -%}
    {%- for hours in attribution_windows() | map(attribute='hours') | unique | sort -%}
        {%- do kinds.extend([{'hours': hours, 'is_human': 1}, {'hours': hours, 'is_human': 0}]) -%}
    {%- endfor -%}
    {{ return(kinds) }}
{% endmacro %}

{#- Who keeps an inbox: what Klaviyo says, or what an address tells. -#}
{% macro inbox_provider(provider, address) -%}
    {%- set providers = [
        ('Gmail', ['gmail', 'googlemail']),
        ('Microsoft', ['outlook', 'hotmail', 'live', 'msn']),
        ('Yahoo', ['yahoo', 'ymail', 'aol']),
        ('Apple', ['icloud', 'me', 'mac']),
    ] -%}
    coalesce(
        {{ provider }},
        case
            {%- for name, domains in providers %}
            when {% for domain in domains -%}
                {{ ' or ' if not loop.first }}{{ address }} like '%@{{ domain }}.%'
            {%- endfor %} then '{{ name }}'
            {%- endfor %}
            else 'Other'
        end
    )
{%- endmacro %}
