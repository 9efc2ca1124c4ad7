"""The guard on statements: ten that Snowflake refuses, most of which the emulator takes."""

from __future__ import annotations

import pytest

from klaviyo_assets_tests.warehouse.snowflake.guard import broken_rules

LONG = "x" * 256

FORBIDDEN = {
    'CREATE TEMPORARY TABLE _stage ("ID" VARCHAR)': "commits the transaction",
    'ALTER TABLE "K"."E" ADD COLUMN "A" VARCHAR': "commits the transaction",
    'ALTER TABLE "K"."E" ALTER COLUMN "N" SET DATA TYPE VARCHAR': "changes DECIMAL",
    'ALTER TABLE "K"."E" ALTER COLUMN "V" SET DATA TYPE VARCHAR(5)': "changes VARCHAR",
    f'SELECT "{LONG}" FROM "K"."E"': "255 characters",
    'MERGE INTO "K"."E" AS own USING (SELECT * FROM "K"."E") AS new ON own."ID" = new."ID" '
    'WHEN MATCHED THEN UPDATE SET "N" = new."N"': "into itself",
    'UPDATE "K"."E" AS own SET "N" = (SELECT s."N" FROM "K"."S" AS s WHERE s."ID" = own."ID")': "without an aggregate",
    'SELECT count(*) FILTER (WHERE "N" IS NULL) FROM "K"."E"': "FILTER",
    'SELECT sysdate() + "N" * INTERVAL \'1 microsecond\' FROM "K"."E"': "multiplies an INTERVAL",
    'SELECT 1 FROM "K"."E" WHERE regexp_like("V", \'(?:a|b)\')': "not captured",
    'SELECT CAST("V" AS JSON) FROM "K"."E"': "the type JSON",
    'CREATE OR REPLACE TABLE "K"."E" ("ID" VARCHAR NOT NULL) AS SELECT "ID" FROM "K"."E"': "constraints",
    'INSERT INTO "K"."E" ("ID") VALUES (?)': "one by one",
    'SELECT EXISTS (SELECT 1 FROM "K"."S" AS s WHERE s."ID" = own."ID") FROM "K"."E" AS own': "outside of WHERE",
    'SELECT coalesce("V") FROM "K"."E"': "of one value",
    'SELECT 1 FROM "K"."E" WHERE': "can't be read",
}


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_snowflake_refuses_is_not_sent(statement: str) -> None:
    types = {"N": "NUMBER(38,0)", "V": "VARCHAR(20)"}
    broken = broken_rules(
        statement,
        in_transaction=FORBIDDEN[statement].startswith("commits"),
        type_of=lambda table, column: types[column],
    )
    assert any(FORBIDDEN[statement] in rule for rule in broken), broken


@pytest.mark.parametrize(
    "statement",
    [
        'ALTER TABLE "K"."E" ALTER COLUMN "V" SET DATA TYPE VARCHAR',
        'ALTER TABLE "K"."E" ALTER COLUMN "V" SET DATA TYPE VARCHAR(30)',
        'UPDATE "K"."E" AS own SET "N" = (SELECT max(s."N") FROM "K"."S" AS s WHERE s."ID" = own."ID")',
        'DELETE FROM "K"."E" WHERE NOT EXISTS (SELECT 1 FROM "K"."S" AS s WHERE s."ID" = "E"."ID")',
        'INSERT INTO "K"."_SYNC_STATE" ("TABLE") VALUES (?), (?)',
        'CREATE OR REPLACE TABLE "K"."E" ("T" DATE) CLUSTER BY ("T") COPY GRANTS AS SELECT "T" FROM "K"."E"',
    ],
)
def test_what_snowflake_takes_is_sent(statement: str) -> None:
    assert broken_rules(statement, type_of=lambda table, column: "VARCHAR(20)") == []
