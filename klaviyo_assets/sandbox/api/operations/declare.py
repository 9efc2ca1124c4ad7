"""How operations are declared, and what the declarations share (Klaviyo's OpenAPI documents)."""

from __future__ import annotations

from typing import Any

from klaviyo_assets.sandbox.api.operation import COMPARISONS, Operation, Rate, S, date, text

OPERATIONS: dict[str, Operation] = {}
"""Id -> operation, once the other modules of this folder are imported."""

FIELDS: dict[str, tuple[str, ...]] = {"attribution": (), "conversation": ("channel",)}
"""The attributes of each type that `fields[type]` may name, besides `id`."""

ADDED = {"coupon": {"assigner_configuration": "2026-10-15"}, "template": {"screenshot_url": "2026-10-15"}}
"""Type -> the attributes that it has besides, and the first revision that shows each."""

OMNICHANNEL: dict[str, Operation] = {}
"""Id -> operation about campaigns, as revision 2026-10-15 has it: most are in `OPERATIONS` too, in another form."""

OMNICHANNEL_FIELDS: dict[str, tuple[str, ...]] = {}
"""The attributes of their types."""

SUBSCRIPTIONS = {"profile": ("subscriptions", "predictive_analytics")}
CHANGED = {"created": date("equals", *COMPARISONS), "updated": date("equals", *COMPARISONS)}
STAMPED = {"created_at": date(), "updated_at": date()}
ANY_ONE = text("any[]", "equals[]", "equals")


def operation(
    id: str, path: str, type: str, rate: Rate, scopes: str, *, fields: str | None = None, **options: Any
) -> None:
    """An operation; where options hold several names, they are one text. `fields` are the attributes of the type."""
    later = bool(options.get("omnichannel"))
    if fields is not None:
        (OMNICHANNEL_FIELDS if later else FIELDS)[type] = tuple(fields.split())
    for name in ("includes", "sorts", "required", "ignored", "failing", "extra_fields"):
        if name in options:
            options[name] = tuple(options[name].split())
    (OMNICHANNEL if later else OPERATIONS)[id] = Operation(
        id=id, path=path, type=type, rate=rate, scopes=tuple(scopes.split()), **options
    )


def resource(
    many: str,
    one: str,
    path: str,
    type: str,
    rate: Rate,
    scopes: str,
    *,
    single: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """A collection and its resources; `single` holds what differs for one resource."""
    operation(many, path, type, rate, scopes, **options)
    shared: dict[str, Any] = {
        name: options[name] for name in ("includes", "additional", "since", "omnichannel") if name in options
    }
    own: dict[str, Any] = {"rate": rate, "scopes": scopes, **shared, **(single or {})}
    operation(one, f"{path}/{{id}}", type, **own)


def related(many: str, ids: str, path: str, type: str, rate: Rate, scopes: str, **options: Any) -> None:
    """A related collection (or resource) and its ids."""
    operation(many, path, type, rate, scopes, **options)
    parent, _, name = path.rpartition("/")
    plain = {key: value for key, value in options.items() if key not in ("includes", "additional", "extra_fields")}
    operation(ids, f"{parent}/relationships/{name}", type, rate, scopes, **plain)


def tags(type: str, rate: Rate = S, **options: Any) -> None:
    """The tags of a type, and its resources by tag."""
    path, scopes = f"/{type}s/{{id}}/tags", f"{type}s:read tags:read"
    related(f"get_tags_for_{type}", f"get_tag_ids_for_{type}", path, "tag", rate, scopes, **options)
    operation(f"get_{type}_ids_for_tag", f"/tags/{{id}}/relationships/{type}s", type, S, scopes, **options)


def triggers(type: str, rate: Rate) -> None:
    """The flows that a list, a segment or a metric triggers."""
    names = f"get_flows_triggered_by_{type}", f"get_ids_for_flows_triggered_by_{type}"
    related(*names, f"/{type}s/{{id}}/flow-triggers", "flow", rate, f"flows:read {type}s:read")
