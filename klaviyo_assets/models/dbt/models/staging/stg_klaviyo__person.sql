with source as (
    {{ source_rows('klaviyo', 'person', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'address_1', 'type': dbt.type_string()},
        {'name': 'address_2', 'type': dbt.type_string()},
        {'name': 'city', 'type': dbt.type_string()},
        {'name': 'country', 'type': dbt.type_string()},
        {'name': 'zip', 'type': dbt.type_string()},
        {'name': 'created', 'type': dbt.type_timestamp()},
        {'name': 'email', 'type': dbt.type_string()},
        {'name': 'first_name', 'type': dbt.type_string()},
        {'name': 'last_name', 'type': dbt.type_string()},
        {'name': 'latitude', 'type': dbt.type_string()},
        {'name': 'longitude', 'type': dbt.type_string()},
        {'name': 'organization', 'type': dbt.type_string()},
        {'name': 'phone_number', 'type': dbt.type_string()},
        {'name': 'region', 'type': dbt.type_string()},
        {'name': 'timezone', 'type': dbt.type_string()},
        {'name': 'title', 'type': dbt.type_string()},
        {'name': 'updated', 'type': dbt.type_timestamp()},
        {'name': 'last_event_date', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ], pass_through('klaviyo__person_pass_through_columns')) }}
)

select
    id as person_id,
    address_1,
    address_2,
    city,
    country,
    zip,
    created as created_at,
    email,
    nullif(trim({{ dbt.concat(["coalesce(first_name, '')", "' '", "coalesce(last_name, '')"]) }}), '') as full_name,
    latitude,
    longitude,
    organization,
    phone_number,
    region,
    timezone,
    title,
    updated as updated_at,
    last_event_date,
    source_relation
    {{- select_pass_through('klaviyo', 'person', pass_through('klaviyo__person_pass_through_columns')) }}
from source
where not coalesce(_fivetran_deleted, false)
