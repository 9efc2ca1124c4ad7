with source as (
    {{ source_rows('shopify', 'customer', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'email', 'type': dbt.type_string()},
        {'name': 'first_name', 'type': dbt.type_string()},
        {'name': 'last_name', 'type': dbt.type_string()},
        {'name': 'phone', 'type': dbt.type_string()},
        {'name': 'state', 'or': ['account_state'], 'type': dbt.type_string()},
        {'name': 'accepts_marketing', 'type': dbt.type_boolean()},
        {'name': 'email_marketing_consent_state', 'type': dbt.type_string()},
        {'name': 'tax_exempt', 'type': dbt.type_boolean()},
        {'name': 'verified_email', 'type': dbt.type_boolean()},
        {'name': 'default_address_id', 'type': dbt.type_string()},
        {'name': 'created_at', 'type': dbt.type_timestamp()},
        {'name': 'updated_at', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    id as customer_id,
    email,
    nullif(trim({{ dbt.concat(["coalesce(first_name, '')", "' '", "coalesce(last_name, '')"]) }}), '') as full_name,
    phone,
    state as account_state,
    coalesce(accepts_marketing, lower(email_marketing_consent_state) = 'subscribed') as has_accepted_marketing,
    tax_exempt as is_tax_exempt,
    verified_email as is_verified_email,
    default_address_id,
    created_at as created_timestamp,
    updated_at as updated_timestamp,
    source_relation
from source
where not coalesce(_fivetran_deleted, false)
