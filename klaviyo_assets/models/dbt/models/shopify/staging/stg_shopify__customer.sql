with source as (
    {{ source_rows('shopify', 'customer', [
        {'name': 'id', 'type': 'id'},
        {'name': 'email', 'type': dbt.type_string()},
        {'name': 'first_name', 'type': dbt.type_string()},
        {'name': 'last_name', 'type': dbt.type_string()},
        {'name': 'phone', 'type': dbt.type_string()},
        {'name': 'state', 'or': ['account_state'], 'type': dbt.type_string()},
        {'name': 'note', 'type': dbt.type_string()},
        {'name': 'currency', 'type': dbt.type_string()},
        {'name': 'accepts_marketing', 'type': dbt.type_boolean()},
        {'name': 'accepts_marketing_updated_at', 'or': ['email_marketing_consent_consent_updated_at'], 'type': dbt.type_timestamp()},
        {'name': 'email_marketing_consent_opt_in_level', 'or': ['marketing_opt_in_level'], 'type': dbt.type_string()},
        {'name': 'email_marketing_consent_state', 'type': dbt.type_string()},
        {'name': 'tax_exempt', 'type': dbt.type_boolean()},
        {'name': 'verified_email', 'type': dbt.type_boolean()},
        {'name': 'default_address_id', 'type': 'id'},
        {'name': 'created_at', 'type': dbt.type_timestamp()},
        {'name': 'updated_at', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
        {'name': '_fivetran_synced', 'type': dbt.type_timestamp()},
    ]) }}
)

select
    id as customer_id,
    lower(email) as email,
    first_name,
    last_name,
    nullif(trim({{ dbt.concat(["coalesce(first_name, '')", "' '", "coalesce(last_name, '')"]) }}), '') as full_name,
    phone,
    lower(state) as account_state,
    note,
    currency,
    coalesce(
        lower(email_marketing_consent_state),
        case when accepts_marketing then 'subscribed (legacy)' when not accepts_marketing then 'not_subscribed (legacy)' end
    ) as marketing_consent_state,
    coalesce(lower(email_marketing_consent_state) = 'subscribed', accepts_marketing) as has_accepted_marketing,
    lower(email_marketing_consent_opt_in_level) as marketing_opt_in_level,
    accepts_marketing_updated_at as marketing_consent_updated_at,
    tax_exempt as is_tax_exempt,
    verified_email as is_verified_email,
    default_address_id,
    created_at as created_timestamp,
    updated_at as updated_timestamp,
    _fivetran_synced,
    source_relation
from source
where not coalesce(_fivetran_deleted, false)
