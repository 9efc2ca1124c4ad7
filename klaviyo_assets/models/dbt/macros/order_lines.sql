{#- Delete the lines that an incremental build has to make anew: those of events that vanished, were written by another sync,
    or are credited otherwise than the model has it. -#}
{% macro delete_outdated_order_lines() %}
    {%- if is_incremental() %}
    delete from {{ this }}
    {%- if not flags.FULL_REFRESH %}
    where unique_event_id in (
        select model.unique_event_id
        from {{ this }} as model
        left join {{ ref('klaviyo__events') }} as event
            on event.unique_event_id = model.unique_event_id
        where event.unique_event_id is null
            or event._fivetran_synced is distinct from model._fivetran_synced
            or event.type is distinct from model.type
            or event.last_touch_campaign_id is distinct from model.campaign_id
            or event.last_touch_flow_id is distinct from model.flow_id
            or event.variation_id is distinct from model.variation_id
    )
    {%- endif %}
    {%- endif %}
{% endmacro %}
