{%- set charge = array_item(json_member(json_member('receipt', 'charges'), 'data'), '0') %}
with source as (
    {{ source_rows('shopify', 'transaction', [
        {'name': 'order_id', 'type': 'id'},
        {'name': 'amount', 'type': dbt.type_numeric()},
        {'name': 'kind', 'type': dbt.type_string()},
        {'name': 'status', 'type': dbt.type_string()},
        {'name': 'gateway', 'type': dbt.type_string()},
        {'name': 'receipt', 'type': 'json'},
        {'name': 'test', 'type': dbt.type_boolean()},
    ]) }}
),

-- What was paid in another currency, the receipt converts.
converted as (
    select
        order_id,
        lower(kind) as kind,
        amount,
        {{ json_value(charge, ['balance_transaction', 'exchange_rate']) }} as exchange_rate,
        source_relation
    from source
    where lower(status) = 'success'
        and lower(kind) in ('sale', 'capture', 'refund')
        -- A gift card was paid for when it was bought.
        and coalesce(lower(gateway), '') <> 'gift_card'
        and not coalesce({{ quoted('test') }}, false)
)

select
    order_id,
    kind,
    cast(amount * coalesce({{ number('exchange_rate') }}, 1) as {{ dbt.type_numeric() }}) as amount,
    source_relation
from converted
