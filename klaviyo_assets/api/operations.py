"""Klaviyo's operations: rate limits (the `x-klaviyo-ratelimit` of its OpenAPI document), and revisions.

Every GET operation, the metric aggregates and the reports. Limits are per account and operation, whoever asks, in
fixed windows of a second (burst), a minute (steady) and, for reports, a day. Some parameters have limits of their
own on top (https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from klaviyo_assets.api.revision import REVISION, REVISIONS


class Rate(NamedTuple):
    """Requests per second, per minute and, if limited, per day."""

    burst: int
    steady: int
    daily: int | None = None


_TABLE = {
    Rate(350, 3500): """
        get_bulk_create_categories_job get_bulk_create_categories_jobs get_bulk_delete_catalog_items_job
        get_bulk_delete_catalog_items_jobs get_bulk_delete_categories_job get_bulk_delete_categories_jobs
        get_bulk_delete_variants_job get_bulk_delete_variants_jobs get_bulk_update_categories_job
        get_bulk_update_categories_jobs get_catalog_categories get_catalog_category get_catalog_item
        get_catalog_items get_catalog_variant get_catalog_variants get_categories_for_catalog_item
        get_category_ids_for_catalog_item get_coupon_code get_coupon_codes get_events
        get_item_ids_for_catalog_category get_items_for_catalog_category get_metric_for_event
        get_metric_id_for_event get_profile_for_event get_profile_id_for_event
        get_variant_ids_for_catalog_item get_variants_for_catalog_item
    """,
    Rate(75, 750): """
        get_all_universal_content get_bulk_create_catalog_items_job get_bulk_create_catalog_items_jobs
        get_bulk_create_coupon_code_jobs get_bulk_create_coupon_codes_job get_bulk_create_variants_job
        get_bulk_create_variants_jobs get_bulk_suppress_profiles_job get_bulk_suppress_profiles_jobs
        get_bulk_unsuppress_profiles_job get_bulk_unsuppress_profiles_jobs get_bulk_update_catalog_items_job
        get_bulk_update_catalog_items_jobs get_bulk_update_variants_job get_bulk_update_variants_jobs
        get_coupon get_coupon_code_ids_for_coupon get_coupon_codes_for_coupon get_coupon_for_coupon_code
        get_coupon_id_for_coupon_code get_coupons get_list get_lists get_profile get_profile_ids_for_list
        get_profile_ids_for_segment get_profiles get_profiles_for_list get_profiles_for_segment get_segment
        get_segments get_template get_templates get_universal_content
    """,
    Rate(10, 150): """
        get_audience_for_campaign_message get_audience_id_for_campaign_message get_audience_ids_for_campaign
        get_billing_usage get_brand_button get_brand_buttons get_brand_color get_brand_colors
        get_brand_email_default get_brand_email_defaults get_brand_logo get_brand_logos
        get_brand_social_group get_brand_social_groups get_brand_voice get_bulk_import_profiles_job
        get_bulk_import_profiles_jobs get_campaign get_campaign_audience get_campaign_audiences_for_campaign
        get_campaign_for_campaign_audience get_campaign_for_campaign_message
        get_campaign_id_for_campaign_audience get_campaign_id_for_campaign_message get_campaign_message
        get_campaign_messages get_campaign_messages_for_campaign_audience get_campaign_recipient_estimation
        get_campaign_recipient_estimation_job get_campaign_send_job get_campaign_variation get_campaigns
        get_errors_for_bulk_import_profiles_job get_event get_flows_triggered_by_metric
        get_ids_for_flows_triggered_by_metric get_image get_image_for_campaign_message
        get_image_for_campaign_variation get_image_id_for_campaign_message
        get_image_id_for_campaign_variation get_images get_list_for_bulk_import_profiles_job
        get_list_ids_for_bulk_import_profiles_job get_message_for_campaign_variation
        get_message_id_for_campaign_variation get_message_ids_for_campaign
        get_message_ids_for_campaign_audience get_messages_for_campaign get_metric get_metrics
        get_profile_for_push_token get_profile_id_for_push_token
        get_profile_ids_for_bulk_import_profiles_job get_profiles_for_bulk_import_profiles_job
        get_push_token get_push_token_ids_for_profile get_push_tokens get_push_tokens_for_profile get_review
        get_reviews get_template_for_campaign_message get_template_id_for_campaign_message
        get_tracking_setting get_tracking_settings get_translation get_translations
        get_variation_ids_for_campaign_message get_variations_for_campaign_message list_billing_usage
    """,
    Rate(3, 60): """
        get_action_for_flow_message get_action_id_for_flow_message get_action_ids_for_flow
        get_actions_for_flow get_campaign_ids_for_tag get_conversation_for_profile
        get_conversation_id_for_profile get_conversation_ids_for_profile get_conversations_for_profile
        get_current_schema_for_object_type get_current_schema_id_for_object_type get_custom_metric
        get_custom_metric_for_mapped_metric get_custom_metric_id_for_mapped_metric get_custom_metrics
        get_data_source get_data_sources get_draft_schema_for_object_type
        get_draft_schema_id_for_object_type get_flow get_flow_action get_flow_action_messages
        get_flow_for_flow_action get_flow_id_for_flow_action get_flow_ids_for_tag get_flow_message get_flows
        get_flows_triggered_by_list get_flows_triggered_by_segment get_form get_form_for_form_version
        get_form_id_for_form_version get_form_version get_forms get_ids_for_flows_triggered_by_list
        get_ids_for_flows_triggered_by_segment get_list_ids_for_profile get_list_ids_for_tag
        get_lists_for_profile get_mapped_metric get_mapped_metrics get_message_ids_for_flow_action
        get_metric_for_mapped_metric get_metric_id_for_mapped_metric get_metric_ids_for_custom_metric
        get_metrics_for_custom_metric get_object_record get_object_schema get_object_schema_relationships
        get_object_type get_object_type_relationships get_object_types get_profile_schema_relationships
        get_profile_type_relationships get_record_ids_for_object_type get_records_for_object_type
        get_schema_version_ids_for_object_type get_schema_versions_for_object_type
        get_segment_ids_for_profile get_segment_ids_for_tag get_segments_for_profile get_source_mapping
        get_source_mapping_for_object_schema get_source_mapping_id_for_object_schema get_tag get_tag_group
        get_tag_group_for_tag get_tag_group_id_for_tag get_tag_groups get_tag_ids_for_campaign
        get_tag_ids_for_campaign_message get_tag_ids_for_flow get_tag_ids_for_list get_tag_ids_for_segment
        get_tag_ids_for_tag_group get_tags get_tags_for_campaign get_tags_for_campaign_message
        get_tags_for_flow get_tags_for_list get_tags_for_segment get_tags_for_tag_group
        get_template_for_flow_message get_template_id_for_flow_message get_text_messaging_sender
        get_text_messaging_senders get_version_ids_for_form get_versions_for_form query_metric_aggregates
    """,
    Rate(1, 15): """
        get_account get_accounts get_ingestion_log_ids_for_object_type get_ingestion_logs_for_object_type
        get_metric_for_metric_property get_metric_id_for_metric_property get_metric_property
        get_properties_for_metric get_property_ids_for_metric get_web_feed get_web_feeds get_webhook
        get_webhook_topic get_webhook_topics get_webhooks
    """,
    Rate(1, 2, 225): """
        query_campaign_values query_flow_series query_flow_values query_form_series query_form_values
        query_segment_series query_segment_values
    """,
}

RATES: dict[str, Rate] = {operation: rate for rate, operations in _TABLE.items() for operation in operations.split()}

_PREDICTIVE_ANALYTICS = ("predictive_analytics", Rate(10, 150))
_PROFILE_COUNT = ("profile_count", Rate(1, 15))
_PROFILE_GROUPS = ("get_profile include", Rate(1, 15))


def limits(operation: str, query: Mapping[str, Sequence[str]]) -> list[tuple[str, Rate]]:
    """The limits that a request counts against, as (name, rate), the narrowest last.

    `query` maps the parameters of the request to their values, as `urllib.parse.parse_qs` does. Raises ValueError
    for an operation that is not in the table.
    """
    rate = RATES.get(operation)
    if rate is None:
        raise ValueError(f"{operation!r} is not the id of a Klaviyo operation that reads")
    found = [(operation, rate)]
    if "predictive_analytics" in _values(query, "additional-fields[profile]"):
        found.append(_PREDICTIVE_ANALYTICS)
    if "profile_count" in _values(query, "additional-fields[list]") | _values(query, "additional-fields[segment]"):
        found.append(_PROFILE_COUNT)
    if operation == "get_profile" and _values(query, "include") & {"lists", "segments"}:
        found.append(_PROFILE_GROUPS)
    return found


def revision(operation: str) -> str:
    """The revision of the API that an operation is asked for in."""
    return REVISIONS.get(operation, REVISION)


def _values(query: Mapping[str, Sequence[str]], name: str) -> set[str]:
    return {item for value in query.get(name, ()) for item in value.split(",")}
