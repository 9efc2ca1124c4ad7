"""Which fields of the API fill which columns, so that fields of blocked columns are not asked for.

Only of objects whose relationships no row needs (events keep theirs): where only some fields are asked for, Klaviyo
leaves out relationships in places, and a row that is derived from one would be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from klaviyo_assets.tables import accounts, events, extras, forms, metrics, profiles, tags, templates
from klaviyo_assets.tables.table import Table

Fields = Mapping[str, str]
"""Column -> the field that it comes from, `location.city` for example."""


@dataclass(frozen=True)
class Fieldset:
    """The fields of a type of object that an operation may be asked for.

    columns: table -> its columns that come from fields. always: fields that the read itself needs.
    least: a field that is asked for if no other one is: an answer without any is taken for a broken one.
    properties, prefix: the field that fills the columns that appear, and how these begin.
    """

    operation: str
    type: str
    columns: Mapping[str, Fields]
    properties: str | None = None
    always: tuple[str, ...] = ()
    least: str = ""
    prefix: str | None = None

    def wanted(self, wants: Callable[[str, str], bool], wants_properties: bool) -> list[str]:
        """Return the fields of the columns that are wanted. wants: asked for (table, column)."""
        found = dict.fromkeys(
            path for table, fields in self.columns.items() for column, path in fields.items() if wants(table, column)
        )
        if self.properties and wants_properties:
            found[self.properties] = None
        return sorted({*found, *self.always}) or [self.least]


def _same(table: Table, **paths: str) -> dict[str, Fields]:
    """Columns that are called as their fields are, except for `paths`; keys of other objects come from elsewhere."""
    return {table.name: {name: paths.get(name, name) for name in table.types if not name.endswith("id")}}


_EVENT = dict.fromkeys(("flow_id", "flow_message_id", "campaign_id", "_variation"), "event_properties")

_EVENTS = Fieldset(
    "get_events",
    "event",
    {
        "event": {
            **_EVENT,
            events.VALUE: "event_properties",
            "datetime": "datetime",
            "timestamp": "timestamp",
            "uuid": "uuid",
        }
    },
    properties="event_properties",
    prefix=events.PREFIX,
    always=("datetime",),
)

FIELDSETS = (
    _EVENTS,
    replace(_EVENTS, operation="get_event"),
    Fieldset(
        "get_profiles",
        "profile",
        {
            "person": profiles.FIELDS,
            "global_exclusion": {"person_id": "subscriptions"},
            "list_exclusion": {"id": "subscriptions"},
        },
        properties="properties",
        prefix=profiles.PREFIX,
        always=("created", "updated"),
    ),
    Fieldset(
        "get_metrics",
        "metric",
        {"metric": {"created": "created", "name": "name", "updated": "updated"}},
        always=("integration",),
    ),
    Fieldset("get_accounts", "account", {"account_history": accounts.FIELDS}, least="test_account"),
    Fieldset("get_templates", "template", _same(templates.EMAIL_TEMPLATE), always=("editor_type",)),
    Fieldset(
        "get_all_universal_content",
        "template-universal-content",
        _same(templates.UNIVERSAL_CONTENT),
        least="screenshot_status",
    ),
    Fieldset("get_tag_groups", "tag-group", _same(tags.TAG_GROUP), least="default"),
    Fieldset("get_forms", "form", _same(forms.FORM), always=("created_at",)),
    Fieldset(
        "get_versions_for_form",
        "form-version",
        _same(forms.FORM_VERSION, ab_test_variation_name="ab_test"),
        always=("created_at",),
    ),
    Fieldset("get_images", "image", _same(extras.IMAGE), least="format"),
    Fieldset("get_web_feeds", "web-feed", _same(extras.WEB_FEED), always=("created",)),
    Fieldset(
        "get_custom_metrics",
        "custom-metric",
        _same(metrics.CUSTOM_METRIC, aggregation_method="definition", metric_groups="definition"),
        least="created",
    ),
)
