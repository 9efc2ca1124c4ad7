with source as (
    {{ source_rows('klaviyo', 'account_history', [
        {'name': 'observed_at', 'type': dbt.type_timestamp()},
        {'name': 'timezone', 'type': dbt.type_string()},
    ]) }}
)

select source_relation, timezone
from (
    select
        source_relation,
        timezone,
        row_number() over (partition by source_relation order by observed_at desc, timezone) as recency
    from source
) as observed
where recency = 1
