"""The registry against the schema that Fivetran publishes."""

from __future__ import annotations

import pytest

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.tables import profiles
from klaviyo_assets.tables.campaigns import LATER
from klaviyo_assets.tables.registry import TABLES, family, table
from klaviyo_assets_tests.expected import tables as expected
from klaviyo_assets_tests.reference import destination

ERD_TYPES = {
    "String": Type.TEXT,
    "Instant": Type.TIMESTAMP,
    "Boolean": Type.BOOLEAN,
    "Double": Type.DOUBLE,
    "LocalDate": Type.DATE,
    "Json": Type.JSON,
}

MORE_COLUMNS = {
    # dbt_klaviyo switches its attribution on by the presence of the column
    "event": ["property_value", "property_attribution"],
    # columns of the first API version that dbt_klaviyo still reads
    "campaign": [
        "campaign_type",
        "email_template_id",
        "from_email",
        "from_name",
        "sent_at",
        "status_id",
        "status_label",
        "subject",
        *LATER["campaign"],
    ],
    "campaign_message": list(LATER["campaign_message"]),
    # what later revisions of the API show
    "coupon": ["assigner_configuration"],
    "email_template": ["screenshot_url"],
    "person": [name for name in table("person").types if name.startswith(profiles.CLICKS)],
}
MORE_FOREIGN_KEYS = {  # come with the columns above
    ("campaign", "email_template_id", "email_template", "id"),
    ("campaign_message", "campaign_audience_id", "campaign_audience", "id"),
}


def test_tables_are_those_of_the_published_schema():
    erd = destination()
    relations = {
        (r["sourceTable"], r["sourceColumns"][0], r["targetTable"], r["targetColumns"][0]) for r in erd["relations"]
    }
    for published in erd["tables"]:
        ours = table(published["name"])
        extra = MORE_COLUMNS.get(ours.name, [])
        assert [c.name for c in ours.columns] == [c["name"] for c in published["columns"]] + extra
        for column in published["columns"]:
            assert ours.types[column["name"]] is ERD_TYPES[column["type"]], (ours.name, column)
        assert set(ours.primary_key) == {c["name"] for c in published["columns"] if c.get("primaryKey")}
        theirs = {relation for relation in relations if relation[0] == ours.name}
        assert {(ours.name, k.column, k.table, k.references) for k in ours.foreign_keys} - MORE_FOREIGN_KEYS == theirs
    assert len(erd["tables"]) == 27


@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry.name)
def test_every_table_describes_itself_and_refers_to_tables_that_exist(entry):
    assert entry.description.endswith(".")
    for column in entry.columns:
        assert column.description, column.name
        assert not column.name.startswith("_fivetran")
    for key in entry.foreign_keys:
        assert key.column in entry.types
        assert key.references in table(key.table).types
    assert entry in family(entry.family.name)
    if entry.dynamic:
        assert entry.dynamic.endswith("_")


def test_names_are_unique_and_an_unknown_one_is_an_error():
    assert len({entry.name for entry in TABLES}) == len(TABLES)
    assert table("event").primary_key == ("id",)
    with pytest.raises(KeyError):
        table("events")


def test_only_dynamic_tables_are_event_and_person():
    assert {entry.name: entry.dynamic for entry in TABLES if entry.dynamic} == {
        "event": "property_",
        "person": "custom_",
    }


def test_there_are_expected_rows_of_every_table():
    """But of reports, whose rows are no objects of the sandbox: test_reports.py has them."""
    known = expected.TABLES.keys() | expected.MORE_TABLES.keys() | expected.OPTIONAL_TABLES.keys()
    assert known == {each.name for each in TABLES} - {"campaign_report", "flow_report"}
