-- Profiles by e-mail address, which are one unless it is written in different ways: what the one that was made last says,
-- and the numbers of all.
{%- set latest = [
    'full_name', 'person_id', 'address_1', 'address_2', 'city', 'country', 'zip', 'latitude', 'longitude',
    'organization', 'region', 'timezone', 'title', 'last_event_date',
] + (pass_through('klaviyo__person_pass_through_columns') | map(attribute='alias') | list) %}
{%- set sums = ['count_total_campaigns', 'count_total_flows'] %}
{%- for column in metric_columns() %}
    {%- do sums.append('total_' ~ column.name) %}
    {%- if not column.is_count %}
        {%- do sums.append('organic_' ~ column.name) %}
    {%- endif %}
{%- endfor %}
with persons as (
    select
        *,
        lower(email) as lower_email,
        row_number() over (
            partition by lower(email), source_relation order by created_at desc, person_id desc
        ) as recency
    from {{ ref('klaviyo__persons') }}
    where email is not null
),

words as (
    select distinct lower_email, source_relation, 'person_ids' as name, person_id as word
    from persons
    union all
    select distinct lower_email, source_relation, 'phone_numbers' as name, phone_number as word
    from persons
    where phone_number is not null
),

lists as (
    select lower_email, source_relation, name, {{ dbt.listagg('word', "', '", 'order by word') }} as words
    from words
    group by lower_email, source_relation, name
),

listed as (
    select
        lower_email,
        source_relation
        {%- for name in ['person_ids', 'phone_numbers'] %},
        max(case when name = '{{ name }}' then words end) as {{ name }}
        {%- endfor %}
    from lists
    group by lower_email, source_relation
),

rolled_up as (
    select
        lower_email,
        source_relation,
        min(created_at) as first_klaviyo_account_made_at,
        max(created_at) as last_klaviyo_account_made_at,
        max(updated_at) as last_updated_at
        {%- for name in ['first_event_at', 'first_campaign_touch_at', 'first_flow_touch_at'] %},
        min({{ name }}) as {{ name }}
        {%- endfor %}
        {%- for name in ['last_event_at', 'last_campaign_touch_at', 'last_flow_touch_at'] %},
        max({{ name }}) as {{ name }}
        {%- endfor %}
        {%- for name in sums %},
        sum({{ name }}) as {{ name }}
        {%- endfor %}
    from persons
    group by lower_email, source_relation
)

select
    rolled_up.lower_email as email,
    rolled_up.source_relation as source_relation,
    {%- for name in [
        'first_klaviyo_account_made_at', 'last_klaviyo_account_made_at', 'last_updated_at', 'first_event_at',
        'last_event_at', 'first_campaign_touch_at', 'last_campaign_touch_at', 'first_flow_touch_at',
        'last_flow_touch_at',
    ] + sums %}
    rolled_up.{{ name }} as {{ name }},
    {%- endfor %}
    {%- for name in latest %}
    newest.{{ name }} as {{ name }},
    {%- endfor %}
    listed.person_ids as person_ids,
    listed.phone_numbers as phone_numbers
from rolled_up
inner join persons as newest
    on newest.lower_email = rolled_up.lower_email
    and newest.source_relation = rolled_up.source_relation
    and newest.recency = 1
left join listed
    on listed.lower_email = rolled_up.lower_email and listed.source_relation = rolled_up.source_relation
