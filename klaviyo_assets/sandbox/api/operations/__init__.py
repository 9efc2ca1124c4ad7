"""The operations that the sandbox serves: parameters, attributes, scopes, limits (revision 2026-07-15 and later)."""

from __future__ import annotations

# Each module declares its operations as it is imported.
from klaviyo_assets.sandbox.api.operations import (  # noqa: F401
    accounts,
    brand,
    campaigns,
    catalog,
    content,
    events,
    omnichannel,
    profiles,
)
from klaviyo_assets.sandbox.api.operations.declare import ADDED, FIELDS, OMNICHANNEL, OMNICHANNEL_FIELDS, OPERATIONS

ON_REQUEST: dict[str, set[str]] = {}
"""Attributes shown only to requests for them (`additional-fields`) and by operations that name them as extra."""
for _operation in OPERATIONS.values():
    for _type, _names in (*_operation.additional.items(), (_operation.type, _operation.extra_fields)):
        ON_REQUEST.setdefault(_type, set()).update(_names)

__all__ = ["ADDED", "FIELDS", "OMNICHANNEL", "OMNICHANNEL_FIELDS", "ON_REQUEST", "OPERATIONS"]
