"""Profiles and their devices, lists, segments."""

from __future__ import annotations

from klaviyo_assets.sandbox.api.operation import XS, Filter, L, M, Page, ParameterRate, S, date, flag, text
from klaviyo_assets.sandbox.api.operations.declare import ANY_ONE, SUBSCRIPTIONS, related, resource, tags, triggers

PREDICTIONS_RATE = ParameterRate("profile", "predictive_analytics", M)
COUNT_RATES = {group: ParameterRate(group, "profile_count", XS) for group in ("list", "segment")}
SUPPRESSION = "subscriptions.email.marketing.suppression"
LIST_SUPPRESSIONS = "subscriptions.email.marketing.list_suppressions"
PROFILES = {
    **dict.fromkeys(("id", "email", "phone_number", "external_id"), ANY_ONE),
    "_kx": text("equals"),
    "created": date("greater-than", "less-than"),
    "updated": date("greater-than", "less-than"),
    f"{LIST_SUPPRESSIONS}.reason": text("equals"),
    f"{LIST_SUPPRESSIONS}.timestamp": date(),
    f"{LIST_SUPPRESSIONS}.list_id": text("equals"),
    f"{SUPPRESSION}.reason": text("equals"),
    f"{SUPPRESSION}.timestamp": date(),
}
MEMBERS = {
    **dict.fromkeys(("email", "phone_number", "push_token"), text("any[]", "equals[]")),
    "_kx": text("equals"),
    "joined_group_at": date(),
}
GROUPS = {
    "name": text("any[]", "equals[]"),
    "id": ANY_ONE,
    "created": date("greater-than"),
    "updated": date("greater-than"),
}
PUSH_TOKENS = {
    "id": text("equals"),
    "profile.id": text("equals"),
    "enablement_status": text(
        "equals", choices=("AUTHORIZED", "UNAUTHORIZED", "DENIED", "PROVISIONAL", "NOT_DETERMINED")
    ),
    "platform": text("equals", choices=("ios", "android")),
}


def members(type: str, filters: dict[str, Filter]) -> None:
    """The profiles of lists or segments."""
    names = f"get_profiles_for_{type}", f"get_profile_ids_for_{type}"
    related(
        *names, f"/{type}s/{{id}}/profiles", "profile", L, f"{type}s:read profiles:read",
        page=Page(20, 100), filters=filters, sorts="joined_group_at", sort="-joined_group_at",
        additional=SUBSCRIPTIONS, extra_fields="joined_group_at",
        parameter_rate=PREDICTIONS_RATE,
    )  # fmt: skip


resource(
    "get_profiles", "get_profile", "/profiles", "profile", L, "profiles:read", page=Page(20, 100), filters=PROFILES,
    sorts=f"created email id {LIST_SUPPRESSIONS}.timestamp {SUPPRESSION}.timestamp updated",
    includes="conversations push-tokens", additional=SUBSCRIPTIONS, parameter_rate=PREDICTIONS_RATE,
    single={"includes": "conversations lists push-tokens segments"},
    fields="created email external_id first_name image last_event_date last_name locale location"
    " organization phone_number predictive_analytics properties subscriptions title updated",
)  # fmt: skip
resource(
    "get_push_tokens", "get_push_token", "/push-tokens", "push-token", M, "profiles:read push-tokens:read",
    page=Page(20, 100), filters=PUSH_TOKENS, includes="profile",
    fields="background created enablement_status metadata platform recorded_date token vendor",
)  # fmt: skip
related(
    "get_push_tokens_for_profile", "get_push_token_ids_for_profile", "/profiles/{id}/push-tokens", "push-token", M,
    "profiles:read",
)  # fmt: skip
related(
    "get_profile_for_push_token", "get_profile_id_for_push_token", "/push-tokens/{id}/profile", "profile", M,
    "profiles:read push-tokens:read", additional=SUBSCRIPTIONS,
)  # fmt: skip
related(
    "get_lists_for_profile", "get_list_ids_for_profile", "/profiles/{id}/lists", "list", S, "lists:read profiles:read"
)
related(
    "get_segments_for_profile", "get_segment_ids_for_profile", "/profiles/{id}/segments", "segment", S,
    "profiles:read segments:read",
)  # fmt: skip
resource(
    "get_lists", "get_list", "/lists", "list", L, "lists:read", page=Page(10, 10), filters=GROUPS,
    sorts="created id name updated", includes="flow-triggers tags",
    single={"additional": {"list": ("profile_count",)}, "parameter_rate": COUNT_RATES["list"]},
    fields="created name opt_in_process profile_count updated",
)  # fmt: skip
resource(
    "get_segments", "get_segment", "/segments", "segment", L, "segments:read", page=Page(10, 10),
    filters={**GROUPS, "is_active": flag("any[]", "equals[]", "equals"), "is_starred": flag()},
    ignored="is_starred",
    sorts="created id name updated", includes="flow-triggers tags",
    single={"additional": {"segment": ("profile_count",)}, "parameter_rate": COUNT_RATES["segment"]},
    fields="created definition is_active is_processing is_starred name profile_count updated",
)  # fmt: skip
members("list", MEMBERS)
members("segment", {"profile_id": text("any[]", "equals[]"), **MEMBERS})
tags("list")
tags("segment")
triggers("list", S)
triggers("segment", S)
