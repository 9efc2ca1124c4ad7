{#- The value of a column as a moment in UTC. -#}
{% macro moment(column, value) %}
    {{- adapter.dispatch('moment', 'klaviyo_models')(column, value) -}}
{% endmacro %}

{% macro default__moment(column, value) -%}
    cast({{ value }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- A session of dbt's is in whatever zone the account is in. -#}
{% macro snowflake__moment(column, value) -%}
    {%- set value = "convert_timezone('UTC', " ~ value ~ ")" if 'tz' in column.data_type | lower and 'ntz' not in column.data_type | lower else value -%}
    cast({{ value }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- The day of a moment in UTC. -#}
{% macro day_of(moment) %}
    {{- adapter.dispatch('day_of', 'klaviyo_models')(moment) -}}
{% endmacro %}

{% macro default__day_of(moment) -%}
    cast({{ dbt.date_trunc('day', moment) }} as date)
{%- endmacro %}

{#- A Date begins in 1970 there. -#}
{% macro clickhouse__day_of(moment) -%}
    toDate32({{ moment }})
{%- endmacro %}

{#- The day of a moment in a time zone. -#}
{% macro day_in_zone(moment, zone) %}
    {{- adapter.dispatch('day_in_zone', 'klaviyo_models')(moment, zone) -}}
{% endmacro %}

{% macro default__day_in_zone(moment, zone) -%}
    cast(timezone('{{ zone }}', timezone('UTC', {{ moment }})) as date)
{%- endmacro %}

{% macro snowflake__day_in_zone(moment, zone) -%}
    cast(convert_timezone('UTC', '{{ zone }}', {{ moment }}) as date)
{%- endmacro %}

{% macro bigquery__day_in_zone(moment, zone) -%}
    date({{ moment }}, '{{ zone }}')
{%- endmacro %}

{% macro clickhouse__day_in_zone(moment, zone) -%}
    toDate32(toTimeZone({{ moment }}, '{{ zone }}'))
{%- endmacro %}

{#- A moment some hours later. -#}
{% macro hours_later(hours, moment) %}
    {{- adapter.dispatch('hours_later', 'klaviyo_models')(hours, moment) -}}
{% endmacro %}

{% macro default__hours_later(hours, moment) -%}
    {{ dbt.dateadd('hour', hours, moment) }}
{%- endmacro %}

{#- dbt's own gives a DATETIME, which does not compare with a TIMESTAMP. -#}
{% macro bigquery__hours_later(hours, moment) -%}
    timestamp_add({{ moment }}, interval ({{ hours }}) hour)
{%- endmacro %}

{#- The first day of the week (a Monday) or month of a day, or the day itself. -#}
{% macro first_day(period, day) %}
    {{- day if period == 'day' else adapter.dispatch('first_day', 'klaviyo_models')(period, day) -}}
{% endmacro %}

{% macro default__first_day(period, day) -%}
    cast({{ dbt.date_trunc(period, day) }} as date)
{%- endmacro %}

{#- Postgres would go by the zone of the session. -#}
{% macro postgres__first_day(period, day) -%}
    cast(date_trunc('{{ period }}', cast({{ day }} as timestamp)) as date)
{%- endmacro %}

{#- A week begins on Sunday there; 1900-01-01 was a Monday. -#}
{% macro bigquery__first_day(period, day) -%}
    {%- if period == 'week' -%}
    date_sub({{ day }}, interval mod(date_diff({{ day }}, date '1900-01-01', day), 7) day)
    {%- else -%}
    cast(date_trunc({{ day }}, {{ period }}) as date)
    {%- endif -%}
{%- endmacro %}

{#- A week begins there as the account says. -#}
{% macro snowflake__first_day(period, day) -%}
    {%- if period == 'week' -%}
    cast(dateadd('day', 1 - dayofweekiso({{ day }}), {{ day }}) as date)
    {%- else -%}
    cast(date_trunc('{{ period }}', {{ day }}) as date)
    {%- endif -%}
{%- endmacro %}

{% macro clickhouse__first_day(period, day) -%}
    {%- if period == 'week' -%}
    toDate32(subtractDays({{ day }}, toDayOfWeek({{ day }}) - 1))
    {%- else -%}
    toDate32(subtractDays({{ day }}, toDayOfMonth({{ day }}) - 1))
    {%- endif -%}
{%- endmacro %}

{#- The number of days from one day to another. -#}
{% macro days_between(first, second) %}
    {{- adapter.dispatch('days_between', 'klaviyo_models')(first, second) -}}
{% endmacro %}

{% macro default__days_between(first, second) -%}
    cast({{ second }} as date) - cast({{ first }} as date)
{%- endmacro %}

{% macro duckdb__days_between(first, second) -%}
    date_diff('day', {{ first }}, {{ second }})
{%- endmacro %}

{% macro snowflake__days_between(first, second) -%}
    datediff('day', {{ first }}, {{ second }})
{%- endmacro %}

{% macro bigquery__days_between(first, second) -%}
    date_diff({{ second }}, {{ first }}, day)
{%- endmacro %}

{% macro clickhouse__days_between(first, second) -%}
    dateDiff('day', {{ first }}, {{ second }})
{%- endmacro %}

{#- The last day of each account's events. What is dated later than it was read, and than all that has been read, is of the
    future, and no reason to take today for a time long past. events, states: relations like klaviyo__events and
    stg_klaviyo__sync_state. -#}
{% macro last_days(events, states) -%}
    select
        event.source_relation as source_relation,
        coalesce(
            max(
                case
                    when event.occurred_at > event._fivetran_synced
                        and coalesce(event.occurred_at > state.synced_through, 1 = 1) then null
                    else event.occurred_on
                end
            ),
            max(event.occurred_on)
        ) as last_day
    from {{ events }} as event
    left join {{ states }} as state
        on state.table_name = 'event' and state.source_relation = event.source_relation
    group by event.source_relation
{%- endmacro %}

{#- A number of the month of a day, one more than that of the month before. -#}
{% macro month_number(day) -%}
    cast(extract(year from {{ day }}) * 12 + extract(month from {{ day }}) as {{ dbt.type_bigint() }})
{%- endmacro %}
