-- Customers by e-mail address: what all of them say, or the one that was made last.
with customer_tag as (
    {{ source_rows('shopify', 'customer_tag', [
        {'name': 'customer_id', 'type': 'id'},
        {'name': 'value', 'type': dbt.type_string()},
    ]) }}
),

abandoned_checkout as (
    {{ source_rows('shopify', 'abandoned_checkout', [
        {'name': 'id', 'type': 'id'},
        {'name': 'email', 'type': dbt.type_string()},
    ]) }}
),

customers as (
    select
        *,
        row_number() over (
            partition by email, source_relation order by created_timestamp desc, customer_id desc
        ) as recency
    from {{ ref('stg_shopify__customer') }}
    where email is not null
),

words as (
    select distinct email, source_relation, 'customer_ids' as name, cast(customer_id as {{ dbt.type_string() }}) as word
    from customers
    union all
    select distinct email, source_relation, 'phone_numbers' as name, phone as word
    from customers
    where phone is not null
    union all
    select distinct customers.email, customers.source_relation, 'customer_tags' as name, customer_tag.value as word
    from customer_tag
    inner join customers
        on customers.customer_id = customer_tag.customer_id and customers.source_relation = customer_tag.source_relation
    where customer_tag.value is not null
),

lists as (
    select email, source_relation, name, {{ dbt.listagg('word', "', '", 'order by word') }} as words
    from words
    group by email, source_relation, name
),

listed as (
    select
        email,
        source_relation
        {%- for name in ['customer_ids', 'phone_numbers', 'customer_tags'] %},
        max(case when name = '{{ name }}' then words end) as {{ name }}
        {%- endfor %}
    from lists
    group by email, source_relation
),

checkouts as (
    select lower(email) as email, source_relation, count(distinct id) as lifetime_abandoned_checkouts
    from abandoned_checkout
    where email is not null
    group by lower(email), source_relation
),

rolled_up as (
    select
        email,
        source_relation,
        min(created_timestamp) as first_account_created_at,
        max(created_timestamp) as last_account_created_at,
        max(updated_timestamp) as last_updated_at,
        max(marketing_consent_updated_at) as marketing_consent_updated_at,
        max(_fivetran_synced) as last_fivetran_synced,
        {{ any_true('is_verified_email') }} as is_verified_email
    from customers
    group by email, source_relation
)

select
    {%- for name in [
        'email', 'source_relation', 'first_account_created_at', 'last_account_created_at', 'last_updated_at',
        'marketing_consent_updated_at', 'last_fivetran_synced', 'is_verified_email',
    ] %}
    rolled_up.{{ name }} as {{ name }},
    {%- endfor %}
    {%- for name in [
        'full_name', 'default_address_id', 'account_state', 'note', 'currency', 'marketing_consent_state',
        'marketing_opt_in_level', 'has_accepted_marketing', 'is_tax_exempt',
    ] %}
    newest.{{ name }} as {{ name }},
    {%- endfor %}
    listed.customer_ids as customer_ids,
    listed.phone_numbers as phone_numbers,
    listed.customer_tags as customer_tags,
    coalesce(checkouts.lifetime_abandoned_checkouts, 0) as lifetime_abandoned_checkouts
from rolled_up
inner join customers as newest
    on newest.email = rolled_up.email and newest.source_relation = rolled_up.source_relation and newest.recency = 1
left join listed
    on listed.email = rolled_up.email and listed.source_relation = rolled_up.source_relation
left join checkouts
    on checkouts.email = rolled_up.email and checkouts.source_relation = rolled_up.source_relation
