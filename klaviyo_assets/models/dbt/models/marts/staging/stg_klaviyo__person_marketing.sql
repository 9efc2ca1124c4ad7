with source as (
    {{ source_rows('klaviyo', 'person', [
        {'name': 'id', 'type': dbt.type_string()},
        {'name': 'email', 'type': dbt.type_string()},
        {'name': 'phone_number', 'type': dbt.type_string()},
        {'name': 'created', 'type': dbt.type_timestamp()},
        {'name': 'subscriptions_email_marketing_consent', 'type': dbt.type_string()},
        {'name': 'subscriptions_email_marketing_timestamp', 'type': dbt.type_timestamp()},
        {'name': 'subscriptions_email_marketing_can_receive_email_marketing', 'type': dbt.type_string()},
        {'name': 'subscriptions_sms_marketing_consent', 'type': dbt.type_string()},
        {'name': 'subscriptions_sms_marketing_timestamp', 'type': dbt.type_timestamp()},
        {'name': 'subscriptions_sms_marketing_can_receive_sms_marketing', 'type': dbt.type_string()},
        {'name': 'predictive_analytics_predicted_clv', 'type': dbt.type_string()},
        {'name': 'predictive_analytics_total_clv', 'type': dbt.type_string()},
        {'name': 'predictive_analytics_churn_probability', 'type': dbt.type_string()},
        {'name': 'predictive_analytics_expected_date_of_next_order', 'type': dbt.type_timestamp()},
        {'name': '_fivetran_deleted', 'type': dbt.type_boolean()},
    ]) }}
)

select
    id as person_id,
    source_relation,
    email,
    phone_number,
    created as created_at,
    subscriptions_email_marketing_consent as email_consent,
    subscriptions_email_marketing_timestamp as email_consent_at,
    {{ is_yes('subscriptions_email_marketing_can_receive_email_marketing') }} as can_receive_email,
    subscriptions_sms_marketing_consent as text_consent,
    subscriptions_sms_marketing_timestamp as text_consent_at,
    {{ is_yes('subscriptions_sms_marketing_can_receive_sms_marketing') }} as can_receive_text,
    {{ number('predictive_analytics_predicted_clv') }} as predicted_value,
    {{ number('predictive_analytics_total_clv') }} as lifetime_value,
    {{ number('predictive_analytics_churn_probability') }} as churn_probability,
    predictive_analytics_expected_date_of_next_order as next_order_expected_at
from source
where not coalesce(_fivetran_deleted, false)
