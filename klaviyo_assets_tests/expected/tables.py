"""The tables that there are expectations of, by name."""

from __future__ import annotations

from collections.abc import Callable

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected import (
    accounts,
    campaigns,
    catalog,
    content,
    coupons,
    events,
    flows,
    forms,
    groups,
    metrics,
    profiles,
    tags,
)
from klaviyo_assets_tests.expected.rows import Expected

Table = Callable[[Account], Expected]

TABLES: dict[str, Table] = {
    "event": events.event,
    "person": profiles.person,
    "metric": metrics.metric,
    "integration": metrics.integration,
    "campaign": campaigns.campaign,
    "campaign_list": campaigns.campaign_list,
    "campaign_message": campaigns.campaign_message,
    "campaign_message_send_time": campaigns.campaign_message_send_time,
    "campaign_tracking_utm_param": campaigns.campaign_tracking_utm_param,
    "campaign_tag": tags.campaign_tag,
    "campaign_audience": campaigns.campaign_audience,
    "campaign_variation": campaigns.campaign_variation,
}
"""What the project syncs."""

MORE_TABLES: dict[str, Table] = {
    "account_history": accounts.account_history,
    "coupon": coupons.coupon,
    "coupon_code": coupons.coupon_code,
    "email_template": content.email_template,
    "flow": flows.flow,
    "flow_action": flows.flow_action,
    "flow_action_tracking_utm_param": flows.flow_action_tracking_utm_param,
    "flow_message": flows.flow_message,
    "flow_tag": tags.flow_tag,
    "form": forms.form,
    "form_version": forms.form_version,
    "global_exclusion": profiles.global_exclusion,
    "list": groups.list_,
    "list_exclusion": profiles.list_exclusion,
    "list_person": groups.list_person,
    "list_tag": tags.list_tag,
    "segment": groups.segment,
    "segment_person": groups.segment_person,
    "segment_tag": tags.segment_tag,
    "tag_group": tags.tag_group,
    "tags": tags.tags,
}
"""The other tables that Fivetran's connector has."""

OPTIONAL_TABLES: dict[str, Table] = {
    "billing_usage": accounts.billing_usage,
    "brand_resource": accounts.brand_resource,
    "catalog_category": catalog.catalog_category,
    "catalog_item": catalog.catalog_item,
    "catalog_variant": catalog.catalog_variant,
    "custom_metric": metrics.custom_metric,
    "image": content.image,
    "mapped_metric": metrics.mapped_metric,
    "push_token": profiles.push_token,
    "review": catalog.review,
    "text_messaging_sender": accounts.text_messaging_sender,
    "translation": content.translation,
    "universal_content": content.universal_content,
    "web_feed": content.web_feed,
    "webhook": accounts.webhook,
}
"""Tables that only this project has."""
