"""The campaign tables, of revision 2026-10-15: `GET /campaigns` and `GET /campaign-messages`.

There a campaign has audiences, an audience messages, a message variations. The columns of earlier revisions keep their
meaning and their words, because queries and dbt_klaviyo read them: those of CAMPAIGN come from its messages, those of
CAMPAIGN_MESSAGE from its first variation. What is no longer said anywhere stays as it is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.tables.jsonapi import (
    Row,
    Rows,
    attributes,
    described,
    identifier,
    inside,
    instant_or_none,
    latest,
    linked,
    listed,
    objects,
    related_id,
    related_ids,
    resources,
)
from klaviyo_assets.tables.table import (
    DAILY,
    Family,
    Table,
    bigint,
    boolean,
    date,
    double,
    json,
    references,
    text,
    timestamp,
)

CAMPAIGN = Table(
    name="campaign",
    family=Family("campaigns", ("campaigns:read", "tags:read")),
    cadence=DAILY,
    description="Campaigns of all channels, archived ones included.",
    columns=(
        text("id", "The campaign's id."),
        boolean("archived", "Whether the campaign was archived."),
        timestamp("created", "When the campaign was created."),
        text("name", "Name of the campaign."),
        timestamp("scheduled", "When someone scheduled the campaign."),
        boolean("send_option_ignore_unsubscribes", "Whether it goes to unsubscribed people too."),
        boolean("send_option_use_smart_sending", "Whether it skips people who got a message recently."),
        timestamp("send_strategy_datetime", "When it is to be sent (static and throttled)."),
        text("send_strategy_method", "How it is sent: static, throttled, immediate, smart_send_time and others."),
        boolean("send_strategy_options_is_local", "Whether the time is meant in the recipient's time zone."),
        boolean(
            "send_strategy_options_send_past_recipients_immediately",
            "Whether people whose local time has passed get it at once.",
        ),
        timestamp("send_strategy_options_static_datetime", "send_strategy_datetime of a static campaign."),
        boolean("send_strategy_options_static_is_local", "send_strategy_options_is_local of a static campaign."),
        boolean(
            "send_strategy_options_static_send_past_recipients_immediately",
            "send_strategy_options_send_past_recipients_immediately of a static campaign.",
        ),
        date("send_strategy_options_sto_date", "The day on which a smart send time campaign is sent."),
        timestamp("send_strategy_options_throttled_datetime", "When a throttled campaign starts."),
        double("send_strategy_options_throttled_throttle_percentage", "Share of recipients per hour, in percent."),
        timestamp("send_time", "When the campaign was or will be sent."),
        text("status", "Draft, Scheduled, Sent, Cancelled and others."),
        boolean("tracking_options_add_tracking_params", "Whether links get UTM parameters."),
        boolean("tracking_options_is_add_utm", "Older name of tracking_options_add_tracking_params."),
        boolean("tracking_options_is_tracking_clicks", "Whether clicks are tracked (email)."),
        boolean("tracking_options_is_tracking_opens", "Whether opens are tracked (email)."),
        timestamp("updated", "When the campaign last changed."),
        text("campaign_type", "The channel of its first message: email, sms, mobile_push or whatsapp."),
        text("email_template_id", "The template of the campaign's first message."),
        text("from_email", "Sender address of the first message."),
        text("from_name", "Sender name of the first message."),
        timestamp("sent_at", "send_time, once the campaign is sent."),
        text("status_id", "1 for Sent, 2 for Draft, as in the first version of the API."),
        text("status_label", "Older name of status."),
        text("subject", "Subject of the first message."),
        text("builder", "What it was made with: canvas, the builder for several audiences and channels, or wizard."),
        text("description", "A short description."),
    ),
    primary_key=("id",),
    foreign_keys=references(email_template_id="email_template", nominal=["email_template_id"]),
)

CAMPAIGN_LIST = Table(
    name="campaign_list",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The lists and segments that a campaign goes to, or leaves out.",
    columns=(
        text("campaign_id", "The campaign."),
        text("list_id", "The list; the id of a segment if the audience is one."),
        text("list_included_or_excluded", "included if one of its audiences includes it and does not exclude it."),
    ),
    primary_key=("campaign_id", "list_id"),
    foreign_keys=references(campaign_id="campaign", list_id="list", nominal=["list_id"]),
)

CAMPAIGN_MESSAGE = Table(
    name="campaign_message",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The messages of campaigns, with the content of their first variation.",
    columns=(
        text("id", "The message's id."),
        text("campaign_id", "The campaign it belongs to."),
        text("template_id", "The template it was made from; a copy that template listings do not show."),
        text("channel", "The channel of its first variation: email, sms, mobile_push or whatsapp."),
        text("content_bcc_email", "Blind copies go to this address."),
        text("content_body", "Text of an SMS or push message."),
        text("content_cc_email", "Copies go to this address."),
        text("content_from_email", "Sender address."),
        text("content_from_label", "Sender name."),
        text("content_media_url", "Picture of an SMS message."),
        text("content_preview_text", "What inboxes show next to the subject."),
        text("content_reply_to_email", "Answers go to this address."),
        text("content_subject", "Subject of an email."),
        timestamp("created", "When the message was created."),
        text("label", "Name of the message."),
        boolean("render_options_add_info_link", "Whether an SMS ends with a link to the sender's information."),
        boolean("render_options_add_opt_out_language", "Whether an SMS says how to unsubscribe."),
        boolean("render_options_add_org_prefix", "Whether an SMS starts with the name of the organization."),
        boolean("render_options_include_contact_card", "Whether an SMS carries a contact card."),
        boolean("render_options_shorten_links", "Whether links in an SMS are shortened."),
        timestamp("updated", "When the message last changed."),
        text("campaign_audience_id", "The audience that it goes to."),
        text("status", "draft, scheduled, sending, sent or cancelled."),
        text("send_strategy", "How it is sent: static, local_timezone, throttled, content_variation and others."),
        bigint("recipient_percentage", "Share of the recipients that it goes to, or that a batch has, in percent."),
        text("throttle_unit", "The time that each batch of a throttled message takes: hour or minute."),
        text("throttling_type", "none, or after which messages people are left out who got one recently."),
        text("ab_test_winner_metric", "What decides its test: opens_unique, clicks_unique and others."),
        bigint("ab_test_winner_percentage", "Share of the audience that gets the winner, in percent."),
        bigint("ab_test_winner_wait_hours", "How many hours the test takes."),
    ),
    primary_key=("id",),
    foreign_keys=references(
        campaign_id="campaign",
        template_id="email_template",
        campaign_audience_id="campaign_audience",
        nominal=["template_id"],
    ),
)

CAMPAIGN_MESSAGE_SEND_TIME = Table(
    name="campaign_message_send_time",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The times at which a campaign message is sent.",
    columns=(
        timestamp("datetime", "When the message is sent."),
        text("campaign_message_id", "The message."),
        boolean("is_local", "Whether the time is meant in the recipient's time zone."),
    ),
    primary_key=("datetime", "campaign_message_id"),
    foreign_keys=references(campaign_message_id="campaign_message"),
)

CAMPAIGN_TRACKING_UTM_PARAM = Table(
    name="campaign_tracking_utm_param",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The UTM parameters that a campaign adds to its links.",
    columns=(
        text("name", "The parameter, utm_source for example."),
        text("campaign_id", "The campaign."),
        text("type", "static for a fixed value, dynamic for one that Klaviyo fills in."),
        text("value", "The value, or what a dynamic one is filled with."),
    ),
    primary_key=("name", "campaign_id"),
    foreign_keys=references(campaign_id="campaign"),
)

CAMPAIGN_TAG = Table(
    name="campaign_tag",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="Which campaign carries which tag.",
    columns=(text("campaign_id", "The campaign."), text("tag_id", "The tag.")),
    primary_key=("campaign_id", "tag_id"),
    foreign_keys=references(campaign_id="campaign", tag_id="tags"),
)

CAMPAIGN_AUDIENCE = Table(
    name="campaign_audience",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The audiences of campaigns, each with messages of its own.",
    columns=(
        text("id", "The audience's id."),
        text("campaign_id", "The campaign."),
        timestamp("created", "When the audience was created."),
        json("excluded", "The ids of the lists and segments that are left out."),
        json("included", "The ids of the lists and segments that it goes to."),
        text("name", "Name of the audience."),
        bigint("priority", "Who is in several audiences counts for the one with the lowest number."),
        timestamp("updated", "When the audience last changed."),
    ),
    primary_key=("id",),
    foreign_keys=references(campaign_id="campaign"),
)

CAMPAIGN_VARIATION = Table(
    name="campaign_variation",
    family=CAMPAIGN.family,
    cadence=DAILY,
    description="The variations of campaign messages: one for each content of an A/B test, else a single one.",
    columns=(
        text("id", "The variation's id."),
        text("campaign_message_id", "The message."),
        json("action_buttons", "The buttons of a push message."),
        boolean("add_info_link", "Whether an SMS ends with a link to the sender's information."),
        boolean("add_opt_out_language", "Whether an SMS says how to unsubscribe."),
        boolean("add_org_prefix", "Whether an SMS starts with the name of the organization."),
        text("android_deep_link", "Where a push message leads on Android."),
        text("bcc_email", "Blind copies go to this address."),
        text("body", "Text of an SMS or push message."),
        text("cc_email", "Copies go to this address."),
        text("channel", "email, sms, mobile_push or whatsapp."),
        double("cost", "What an SMS costs."),
        timestamp("created", "When the variation was created."),
        text("from_email", "Sender address."),
        text("from_label", "Sender name."),
        boolean("include_contact_card", "Whether an SMS carries a contact card."),
        text("ios_deep_link", "Where a push message leads on iOS."),
        json("kv_pairs", "Keys and values that a push message hands to the app."),
        text("mms_dynamic_image_template", "Picture of an SMS that depends on the recipient."),
        text("mms_static_image_asset_id", "Picture of an SMS."),
        text("name", "Name of the variation."),
        text("preview_text", "What inboxes show next to the subject."),
        text("push_type", "standard, or silent for a push message that nobody sees."),
        text("reply_to_email", "Answers go to this address."),
        timestamp("send_time", "When it is sent, if the variations of the message have times of their own."),
        boolean("shorten_links", "Whether links in an SMS or WhatsApp message are shortened."),
        text("subject", "Subject of an email."),
        text("template_id", "The template; of an email, a copy that template listings do not show."),
        text("text_message_type", "SMS, MMS or RCS."),
        text("title", "Title of a push message."),
        timestamp("updated", "When the variation last changed."),
        text("web_url", "Where a push message leads in a browser."),
    ),
    primary_key=("id",),
    foreign_keys=references(
        campaign_message_id="campaign_message", template_id="email_template", nominal=["template_id"]
    ),
)

TABLES = (
    CAMPAIGN,
    CAMPAIGN_LIST,
    CAMPAIGN_MESSAGE,
    CAMPAIGN_MESSAGE_SEND_TIME,
    CAMPAIGN_TRACKING_UTM_PARAM,
    CAMPAIGN_TAG,
    CAMPAIGN_AUDIENCE,
    CAMPAIGN_VARIATION,
)

STATUS_IDS = {"Sent": "1", "Draft": "2"}
CONTENT = tuple(name.removeprefix("content_") for name in CAMPAIGN_MESSAGE.types if name.startswith("content_"))
RENDER_OPTIONS = tuple(
    name.removeprefix("render_options_") for name in CAMPAIGN_MESSAGE.types if name.startswith("render_options_")
)

KEPT = {
    "campaign": ("scheduled", "send_strategy_options_throttled_throttle_percentage"),
    "campaign_message": ("content_media_url",),
}
"""Table -> its columns that no answer of this revision fills."""

LATER = {
    "campaign": ("builder", "description"),
    "campaign_message": tuple(CAMPAIGN_MESSAGE.types)[list(CAMPAIGN_MESSAGE.types).index("updated") + 1 :],
}
"""Table -> its columns that no answer of an earlier revision fills."""

METHODS = {
    "ab_send_time_test": "ab_test_campaign",
    "content_variation": "ab_test_campaign",
    "content_variation_local_timezone": "ab_test_campaign",
    "local_timezone": "static",
    "personalized_send_time_optimization": "smart_send_time",
    "send_time_optimization": "smart_send_time",
    "variation_per_second_throttled": "throttled",
}
"""Send strategies that earlier revisions have another word for. Those of messages that are sent at once are static."""

CHANNELS = {"push": "mobile_push"}
UNDER_WAY = ("scheduled", "sending", "sent")
_LOCAL = ("local_timezone", "content_variation_local_timezone")
_OWN = ("id", "campaign_message_id", "created", "updated", "name", "channel", "send_time", "template_id")
_DETAILS = tuple(name for name in CAMPAIGN_VARIATION.types if name not in _OWN)


@dataclass(frozen=True)
class Message:
    """A campaign message: its row, those of its variations, and what its campaign repeats of it."""

    row: Row
    variations: list[Row]
    definition: Row

    @property
    def options(self) -> Row:
        """How it is sent."""
        return _object(self.definition.get("send_options"))


@dataclass(frozen=True)
class Messages:
    """The messages that have been read. by_id: None for one that came, but nobody knows what it says."""

    by_id: dict[str, Message | None] = field(default_factory=dict)
    of_campaign: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, messages: Mapping[str, Message | None]) -> None:
        """Remember messages."""
        for id, message in messages.items():
            if message and id not in self.by_id:
                self.of_campaign[message.row["campaign_id"]].append(id)
            self.by_id[id] = message

    def adopt(self, id: str, campaign: str) -> Row | None:
        """Return the row of a message that did not say whose it is, now with the campaign that names it."""
        message = self.by_id[id]
        if message is None or message.row["campaign_id"] is not None:
            return None
        message.row["campaign_id"] = campaign
        return message.row

    def of(self, campaign: Row) -> list[str]:
        """Return the ids of a campaign's messages that there are, in its own order."""
        named = related_ids(campaign, "campaign-messages")
        own = self.of_campaign.get(campaign["id"], ())
        return [id for id in dict.fromkeys((*named, *own)) if id in self.by_id]

    def described(self, campaign: Row) -> list[Message]:
        """Return a campaign's messages, in its own order, without those that nobody knows what they say."""
        return [message for id in self.of(campaign) if (message := self.by_id[id])]


def messages(document: Mapping[str, Any], owner: str | None = None) -> dict[str, Message | None]:
    """Return id -> message, on a page of messages with their variations included.

    owner: the campaign of all of them, for an answer that does not say.
    """
    variations = linked(document, "campaign-variations", "campaign-variation")
    found: dict[str, Message | None] = {message["id"]: None for message in resources(document)}
    for message in described(document):
        named = related_ids(message, "campaign-variations")
        ids = named or [id for id, each in variations.items() if related_id(each, "campaign-message") == message["id"]]
        if not ids or ids[0] in variations:
            found[message["id"]] = _message(message, [variations[id] for id in ids if id in variations], owner)
    return found


def message_rows(found: Iterable[Message | None]) -> Rows:
    """Return the rows of CAMPAIGN_MESSAGE, CAMPAIGN_MESSAGE_SEND_TIME and CAMPAIGN_VARIATION."""
    known = [message for message in found if message]
    return {
        "campaign_message": latest((message.row for message in known), "id"),
        "campaign_message_send_time": latest(
            (row for message in known for row in _send_time_rows(message)), "datetime", "campaign_message_id"
        ),
        "campaign_variation": latest((row for message in known for row in message.variations), "id"),
    }


def rows(
    document: Mapping[str, Any],
    known: Messages,
    stored: Mapping[str, Row] | None = None,
    stored_params: Mapping[str, Sequence[Row]] | None = None,
) -> Rows:
    """Return the rows of the other tables, on a page of campaigns with audiences and tags included.

    known: their messages. stored: id -> the campaign's row as it is stored, with the columns `STORED`.
    stored_params: campaign -> its rows of CAMPAIGN_TRACKING_UTM_PARAM, which stay where no answer has parameters.
    """
    campaigns = resources(document)
    audiences = linked(document, "campaign-audiences", "campaign-audience")
    firsts = {campaign["id"]: known.of(campaign)[:1] for campaign in campaigns}
    return {
        "campaign": latest(
            (
                _campaign(campaign, known, (stored or {}).get(campaign["id"], {}))
                for campaign in described(document)
                # A row repeats its first message.
                if not (first := firsts[campaign["id"]]) or known.by_id[first[0]]
            ),
            "id",
        ),
        "campaign_list": latest(
            (row for campaign in campaigns for row in _list_rows(campaign, audiences)), "campaign_id", "list_id"
        ),
        "campaign_tracking_utm_param": latest(
            (row for campaign in campaigns for row in _param_rows(campaign, known, stored_params or {})),
            "name",
            "campaign_id",
        ),
        "campaign_tag": tag_rows(campaigns),
        "campaign_audience": latest(
            (_audience(audience, campaign["id"]) for campaign in campaigns for audience in _of(campaign, audiences)),
            "id",
        ),
    }


STORED = (
    "updated",
    "scheduled",
    "status",
    "status_label",
    "send_strategy_method",
    "send_option_use_smart_sending",
    "send_strategy_options_throttled_throttle_percentage",
)
"""The columns of CAMPAIGN of which the stored value may count."""


def tag_rows(campaigns: Iterable[Row]) -> list[Row]:
    """Return the rows of CAMPAIGN_TAG of some campaigns, in whichever revision."""
    carried = ((campaign["id"], tag) for campaign in campaigns for tag in related_ids(campaign, "tags"))
    return latest(({"campaign_id": id, "tag_id": tag} for id, tag in carried), "campaign_id", "tag_id")


def campaign_of_message(message_rows: list[Row]) -> dict[str, str]:
    """Return message id -> campaign id, by which the `$message` of an event finds its campaign."""
    return {row["id"]: row["campaign_id"] for row in message_rows if row["campaign_id"] is not None}


def _campaign(campaign: Row, known: Messages, stored: Row) -> Row:
    a, definition = attributes(campaign), inside(campaign, "definition")
    own = known.described(campaign)
    first = own[0] if own else None
    message: Row = first.row if first else {}
    options: Row = first.options if first else {}
    settings = inside(campaign, "definition.send_settings")
    tracking: Row = next((given for each in own if (given := each.definition.get("tracking_options"))), {})
    unchanged = instant_or_none(a.get("updated_at")) == _utc(stored.get("updated"))

    status = _status([each.row["status"] for each in own])
    more = (stored.get(name) for name in ("status", "status_label"))  # one of them may be blocked or hashed
    status = next((said for said in more if _is_part(said, status)), status)
    strategy = options.get("send_strategy")
    method = METHODS.get(strategy, strategy) if isinstance(strategy, str) else strategy
    if method == "static" and stored.get("send_strategy_method") == "immediate":
        method = "immediate"
    is_local = True if strategy in _LOCAL else False if method == "static" else None
    past = settings.get("send_passed_rltz_immediately") if is_local else None
    planned = _earliest(each.options.get("send_time") for each in own)
    sent = _earliest(each.options.get("send_time") for each in own if each.row["status"] in UNDER_WAY)
    smart_sending = options.get("throttling_type") and options.get("throttling_type") != "none"
    if unchanged and stored.get("send_option_use_smart_sending") is not None:
        smart_sending = stored["send_option_use_smart_sending"]
    static, throttled = method == "static", method == "throttled"
    return {
        "id": campaign["id"],
        "archived": definition.get("archived"),
        "created": a.get("created_at"),
        "name": definition.get("name"),
        "scheduled": stored.get("scheduled"),
        "send_option_ignore_unsubscribes": options.get("is_ignoring_unsubscribes"),
        "send_option_use_smart_sending": smart_sending,
        "send_strategy_datetime": planned if static or throttled else None,
        "send_strategy_method": method,
        "send_strategy_options_is_local": is_local,
        "send_strategy_options_send_past_recipients_immediately": past,
        "send_strategy_options_static_datetime": planned if static else None,
        "send_strategy_options_static_is_local": is_local if static else None,
        "send_strategy_options_static_send_past_recipients_immediately": past if static else None,
        "send_strategy_options_sto_date": _day(planned) if method == "smart_send_time" else None,
        "send_strategy_options_throttled_datetime": planned if throttled else None,
        "send_strategy_options_throttled_throttle_percentage": stored.get(
            "send_strategy_options_throttled_throttle_percentage"
        ),
        "send_time": sent,
        "status": status,
        "tracking_options_add_tracking_params": _object(tracking).get("is_add_utm"),
        "tracking_options_is_add_utm": _object(tracking).get("is_add_utm"),
        "tracking_options_is_tracking_clicks": _object(tracking).get("is_tracking_clicks"),
        "tracking_options_is_tracking_opens": _object(tracking).get("is_tracking_opens"),
        "updated": a.get("updated_at"),
        "campaign_type": message.get("channel"),
        "email_template_id": message.get("template_id") if message.get("channel") == "email" else None,
        "from_email": message.get("content_from_email"),
        "from_name": message.get("content_from_label"),
        "sent_at": sent if status == "Sent" else None,
        "status_id": STATUS_IDS.get(status) if isinstance(status, str) else None,
        "status_label": status,
        "subject": message.get("content_subject"),
        "builder": definition.get("builder"),
        "description": definition.get("description"),
    }


def _status(statuses: Sequence[Any]) -> Any:
    """What a campaign is, in the words of earlier revisions: under way until all of its messages are sent."""
    there = set(filter(None, (status for status in statuses if isinstance(status, str))))
    if "sending" in there or there >= {"sent", "scheduled"}:
        return "Sending"
    for status in ("scheduled", "sent", "draft", "cancelled", *sorted(there)):
        if status in there:
            return status[:1].upper() + status[1:]
    return None


def _is_part(stored: Any, status: Any) -> bool:
    """Whether the stored status says more than the one that came: `Cancelled: No Recipients`."""
    return isinstance(stored, str) and isinstance(status, str) and stored.startswith(f"{status}: ")


def _message(message: Row, variations: Sequence[Row], owner: str | None) -> Message:
    a, definition = attributes(message), inside(message, "definition")
    options = inside(message, "definition.send_options")
    test = inside(message, "definition.ab_test")
    times = inside(message, "definition.send_options.send_times")
    of_variations = [_variation(variation, message["id"], times.get(variation["id"])) for variation in variations]
    first = of_variations[0] if of_variations else {}
    row = {
        "id": message["id"],
        "campaign_id": related_id(message, "campaign") or owner,
        "template_id": first.get("template_id"),
        "channel": first.get("channel"),
        **{f"content_{name}": first.get(name) for name in CONTENT},
        "created": a.get("created"),
        "label": definition.get("name") or first.get("name"),
        **{f"render_options_{name}": first.get(name) for name in RENDER_OPTIONS},
        "updated": a.get("updated"),
        "campaign_audience_id": related_id(message, "campaign-audience"),
        "status": definition.get("status"),
        "send_strategy": options.get("send_strategy"),
        "recipient_percentage": options.get("recipient_percentage"),
        "throttle_unit": options.get("throttle_unit"),
        "throttling_type": options.get("throttling_type"),
        "ab_test_winner_metric": test.get("winner_metric"),
        "ab_test_winner_percentage": test.get("winner_percentage"),
        "ab_test_winner_wait_hours": test.get("winner_wait_hours"),
    }
    return Message(row, of_variations, definition)


def _variation(variation: Row, message: str, send_time: Any) -> Row:
    a, details = attributes(variation), inside(variation, "definition.details")
    channel = details.get("channel")
    return {
        "id": variation["id"],
        "campaign_message_id": message,
        "created": a.get("created"),
        "updated": a.get("updated"),
        "name": inside(variation, "definition").get("name"),
        "channel": CHANNELS.get(channel, channel) if isinstance(channel, str) else channel,
        "send_time": next(_times(send_time), None),
        "template_id": identifier(details.get("template_id")),
        **{name: identifier(details.get(name)) for name in _DETAILS},
    }


def _send_time_rows(message: Message) -> list[Row]:
    """The times of a message that is on its way: its own, and those that its variations have instead."""
    if message.row["status"] not in UNDER_WAY:
        return []
    own = _object(message.options.get("send_times")).values()
    is_local = message.options.get("send_strategy") in _LOCAL
    return [
        {"datetime": time, "campaign_message_id": message.row["id"], "is_local": is_local}
        for given in (message.options.get("send_time"), *own)
        for time in _times(given)
    ]


def _times(given: Any) -> Iterator[Any]:
    """The times of a variation, whether it has one, several or an object with one."""
    if isinstance(given, list):
        for each in given:
            yield from _times(each)
    elif isinstance(given, dict):
        yield from _times(given.get("datetime") or given.get("send_time"))
    elif given is not None:
        yield given


def _of(campaign: Row, audiences: Mapping[str, Row]) -> list[Row]:
    """The audiences of a campaign; a page without that relationship still has the audiences' own."""
    ids = related_ids(campaign, "campaign-audiences")
    ids = ids or [id for id, each in audiences.items() if related_id(each, "campaign") == campaign["id"]]
    return [audiences[id] for id in ids if id in audiences]


def _audience(audience: Row, campaign: str) -> Row:
    a, definition = attributes(audience), inside(audience, "definition")
    return {
        "id": audience["id"],
        "campaign_id": campaign,
        "created": a.get("created"),
        "excluded": definition.get("excluded"),
        "included": definition.get("included"),
        "name": definition.get("name"),
        "priority": definition.get("priority"),
        "updated": a.get("updated"),
    }


def _list_rows(campaign: Row, audiences: Mapping[str, Row]) -> list[Row]:
    sides: dict[str | int, str] = {}
    for audience in _of(campaign, audiences):
        included, excluded = (listed(audience, f"definition.{side}", str | int) for side in ("included", "excluded"))
        sides |= {id: "included" for id in included if id not in excluded}
        sides = dict.fromkeys(excluded, "excluded") | sides
    return [
        {"campaign_id": campaign["id"], "list_id": id, "list_included_or_excluded": side} for id, side in sides.items()
    ]


def _param_rows(campaign: Row, known: Messages, stored: Mapping[str, Sequence[Row]]) -> Iterator[Row]:
    """The parameters of a campaign's messages, of a name those of the first message that has it."""
    own = known.described(campaign)
    options = [_object(message.definition.get("tracking_options")) for message in own]
    if not any("tracking_params" in given for given in options):
        yield from stored.get(campaign["id"], ())
        return
    for message, given in zip(reversed(own), reversed(options), strict=True):  # the last row of a key stays
        for item in objects({"id": message.row["id"], "attributes": given}, "tracking_params"):
            named = {name: item.get(name) for name in ("name", "type", "value")}
            yield {**named, "campaign_id": campaign["id"]}


def _earliest(times: Iterable[Any]) -> Any:
    known = [(instant, time) for time in times if (instant := instant_or_none(time))]
    return min(known, key=lambda each: each[0])[1] if known else None


def _day(time: Any) -> Any:
    instant = instant_or_none(time)
    return instant and instant.date()


def _utc(value: Any) -> Any:
    """A time of the warehouse as one of the API."""
    return instant_or_none(value.isoformat()) if hasattr(value, "isoformat") else None


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}
