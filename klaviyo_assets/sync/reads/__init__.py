"""How each family of tables is read completely: requests to pages to rows.

A read is a snapshot: it returns everything that exists the whole time, because what it does not return is flagged as
deleted. So it follows an order that does not change meanwhile (an id, the time of creation), asks twice for what may
move between two queries (`reading.BOTH_SIDES`), and asks anew where a cursor would skip rows (`reading.by_creation`).
What is created or deleted meanwhile may be in it or not. A parent that is deleted between its own page and that of its
children has none.
"""

from __future__ import annotations

from klaviyo_assets.sync.reads import collections
from klaviyo_assets.sync.reads.campaigns import campaigns
from klaviyo_assets.sync.reads.coupon_codes import coupon_codes
from klaviyo_assets.sync.reads.flows import flow_messages, flows
from klaviyo_assets.sync.reads.forms import form_versions, forms, web_feeds
from klaviyo_assets.sync.reads.reading import Read
from klaviyo_assets.sync.reads.reports import campaign_reports, flow_reports
from klaviyo_assets.tables.campaigns import CAMPAIGN
from klaviyo_assets.tables.coupons import COUPON_CODE
from klaviyo_assets.tables.extras import WEB_FEED
from klaviyo_assets.tables.flows import FLOW, FLOW_MESSAGE
from klaviyo_assets.tables.forms import FORM, FORM_VERSION
from klaviyo_assets.tables.reports import CAMPAIGN_REPORT, FLOW_REPORT
from klaviyo_assets.tables.table import Family

READS: dict[Family, Read] = {
    **collections.READS,
    CAMPAIGN.family: campaigns,
    FLOW.family: flows,
    FLOW_MESSAGE.family: flow_messages,
    COUPON_CODE.family: coupon_codes,
    FORM.family: forms,
    FORM_VERSION.family: form_versions,
    WEB_FEED.family: web_feeds,
    CAMPAIGN_REPORT.family: campaign_reports,
    FLOW_REPORT.family: flow_reports,
}
"""Family -> how it is read."""

__all__ = ["READS", "Read"]
