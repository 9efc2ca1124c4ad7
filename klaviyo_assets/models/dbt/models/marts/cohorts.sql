with orders as (
    select
        person_id,
        source_relation,
        occurred_on,
        {{ month_number('occurred_on') }} as month_number,
        order_value
    from {{ ref('order_credits') }}
    where credited_by = 'event' and person_id is not null
),

firsts as (
    select
        person_id,
        source_relation,
        {{ first_day('month', 'min(occurred_on)') }} as cohort_month,
        min(month_number) as first_month
    from orders
    group by person_id, source_relation
),

sizes as (
    select source_relation, cohort_month, first_month, count(*) as customers
    from firsts
    group by source_relation, cohort_month, first_month
),

as_of as (
    select source_relation, {{ month_number('last_day') }} as last_month
    from ({{ last_days(ref('klaviyo__events'), ref('stg_klaviyo__sync_state')) }}) as last_days
),

ordered as (
    select
        firsts.source_relation as source_relation,
        firsts.cohort_month as cohort_month,
        orders.month_number - firsts.first_month as months_since_first,
        count(distinct orders.person_id) as unique_customers_ordering,
        count(*) as orders,
        {{ total_value('orders.order_value') }} as revenue
    from orders
    inner join firsts
        on firsts.person_id = orders.person_id and firsts.source_relation = orders.source_relation
    group by firsts.source_relation, firsts.cohort_month, orders.month_number - firsts.first_month
),

-- Each month of each cohort until the account's last event, also those without an order; and months of the future with one.
months as (
    select
        sizes.source_relation as source_relation,
        sizes.cohort_month as cohort_month,
        sizes.customers as customers,
        cast(numbers.number as {{ dbt.type_bigint() }}) as months_since_first
    from sizes
    inner join as_of
        on as_of.source_relation = sizes.source_relation
    cross join ({{ numbers() }}) as numbers
    where numbers.number <= as_of.last_month - sizes.first_month

    union all

    select
        sizes.source_relation as source_relation,
        sizes.cohort_month as cohort_month,
        sizes.customers as customers,
        cast(ordered.months_since_first as {{ dbt.type_bigint() }}) as months_since_first
    from ordered
    inner join sizes
        on sizes.source_relation = ordered.source_relation and sizes.cohort_month = ordered.cohort_month
    inner join as_of
        on as_of.source_relation = ordered.source_relation
    where ordered.months_since_first > least(as_of.last_month - sizes.first_month, {{ most_numbers() }})
)

select
    {{ surrogate_key(['months.source_relation', 'months.cohort_month', 'months.months_since_first']) }} as cohort_key,
    months.source_relation as source_relation,
    months.cohort_month as cohort_month,
    months.months_since_first as months_since_first,
    months.customers as customers,
    coalesce(ordered.unique_customers_ordering, 0) as unique_customers_ordering,
    coalesce(ordered.orders, 0) as orders,
    coalesce(ordered.revenue, 0) as revenue,
    sum(coalesce(ordered.revenue, 0)) over (
        partition by months.source_relation, months.cohort_month
        order by months.months_since_first
        rows between unbounded preceding and current row
    ) as revenue_until_then,
    {{ rate('coalesce(ordered.unique_customers_ordering, 0)', 'months.customers') }} as retention_rate,
    {{ rate(
        'sum(coalesce(ordered.revenue, 0)) over ('
        ~ 'partition by months.source_relation, months.cohort_month order by months.months_since_first '
        ~ 'rows between unbounded preceding and current row)',
        'months.customers'
    ) }} as revenue_per_customer_until_then
from months
left join ordered
    on ordered.source_relation = months.source_relation
    and ordered.cohort_month = months.cohort_month
    and ordered.months_since_first = months.months_since_first
