with credited as (
    select
        source_relation,
        coalesce(message_type, 'none') as credited_to,
        coalesce(channel, 'none') as channel,
        person_id,
        occurred_on,
        credited_by,
        order_value
    from {{ ref('order_credits') }}
),

revenue as (
    {%- for period in periods() %}
    {{ 'union all' if not loop.first }}
    select
        source_relation,
        credited_to,
        channel,
        '{{ period }}' as period,
        {{ first_day(period, 'occurred_on') }} as period_start
        {%- for credit in order_figures() %}
        {%- set is_credited = "credited_by = '" ~ credit.credited_by ~ "'" %},
        count(case when {{ is_credited }} then 1 end) as orders{{ credit.suffix }},
        count(distinct case when {{ is_credited }} then person_id end) as unique_orders{{ credit.suffix }},
        {{ total_value('case when ' ~ is_credited ~ ' then order_value end') }} as revenue{{ credit.suffix }}
        {%- endfor %}
    from credited
    group by source_relation, credited_to, channel, {{ first_day(period, 'occurred_on') }}
    {%- endfor %}
)

select
    {{ surrogate_key(['source_relation', 'credited_to', 'channel', 'period', 'period_start']) }} as channel_revenue_key,
    source_relation,
    credited_to,
    channel,
    period,
    period_start
    {%- for credit in order_figures() %},
    orders{{ credit.suffix }},
    unique_orders{{ credit.suffix }},
    revenue{{ credit.suffix }},
    {{ rate(
        'revenue' ~ credit.suffix,
        'sum(revenue' ~ credit.suffix ~ ') over (partition by source_relation, period, period_start)'
    ) }} as share_of_revenue{{ credit.suffix }}
    {%- endfor %}
from revenue
