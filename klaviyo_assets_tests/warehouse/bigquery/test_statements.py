"""The guard on statements: what BigQuery refuses, most of which the emulator takes."""

from __future__ import annotations

import pytest

from klaviyo_assets.warehouse.bigquery.text import written
from klaviyo_assets_tests.warehouse.bigquery.guard import broken_rules

LONG = "x" * 301

FORBIDDEN = {
    "ALTER TABLE `k`.`e` ADD COLUMN `a` STRING": "within a transaction",
    "CREATE OR REPLACE TABLE `k`.`e` AS SELECT 1 AS `a`": "within a transaction",
    "ALTER TABLE `k`.`e` ALTER COLUMN `n` SET DATA TYPE STRING": "changes INT64",
    "ALTER TABLE `k`.`e` ALTER COLUMN `s` SET DATA TYPE STRING(5)": "shorter",
    "ALTER TABLE `k`.`e` ALTER COLUMN `n` SET DATA TYPE NUMERIC, ALTER COLUMN `n` SET DATA TYPE FLOAT64": (
        "no statement that sqlglot knows"
    ),
    f"SELECT `{LONG}` FROM `k`.`e`": "300 characters",
    "DELETE FROM `k`.`e`": "no WHERE",
    'SELECT "id" FROM `k`.`e`': "double quotes",
    "UPDATE `k`.`e` AS own SET `a` = new.`a` FROM `k`.`s` AS new WHERE own.`id` = new.`id`": "reserved word new",
    "SELECT 1 AS x UNION SELECT 2 AS x": "DISTINCT or ALL",
    "SELECT CAST(`a` AS VARCHAR) FROM `k`.`e`": "the type VARCHAR",
    "SELECT count(*) FILTER (WHERE `n` IS NULL) FROM `k`.`e`": "FILTER",
    "SELECT 'it''s'": "Adjacent string literals",
    "SELECT 1 WHERE false": "WHERE without FROM",
    "INSERT INTO `k`.`event` (`id`) VALUES (?)": "one by one",
    "SELECT column_name FROM `k`.INFORMATION_SCHEMA.COLUMNS": "costs 10 MB",
    "MERGE INTO `k`.`e` AS own USING `k`.`s` AS s ON own.`id` = s.`id` WHEN MATCHED THEN DELETE": "merges",
    "SELECT (SELECT s.`n` FROM `k`.`s` AS s WHERE s.`n` > own.`n` LIMIT 1) FROM `k`.`e` AS own": "no join by equality",
    "CREATE TABLE `k`.`e` (`_PARTITION_x` STRING)": "column _PARTITION_x",
    "CREATE TABLE `k`.`e` PARTITION BY MD5(`id`) AS SELECT 1 AS `id`": "partitions of",
    "SELECT 1 FROM": "can't be read",
}


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_bigquery_refuses_is_not_sent(statement: str) -> None:
    broken = broken_rules(
        statement,
        in_transaction=FORBIDDEN[statement].startswith("within"),
        types={"n": "INT64", "s": "STRING"},
    )
    assert any(FORBIDDEN[statement] in rule for rule in broken), broken


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN TRANSACTION",
        "CALL BQ.ABORT_SESSION()",
        "ALTER TABLE `k`.`e` ALTER COLUMN `s` SET DATA TYPE STRING",
        "ALTER TABLE `k`.`e` ALTER COLUMN `n` SET DATA TYPE FLOAT64",
        "UPDATE `k`.`e` AS own SET `n` = (SELECT max(s.`n`) FROM `k`.`s` AS s WHERE s.`id` = own.`id`) WHERE true",
        "DELETE FROM `k`.`e` AS _stage WHERE NOT EXISTS (SELECT 1 FROM `k`.`s` AS s WHERE s.`id` = `_stage`.`id`)",
        "INSERT INTO `k`.`_sync_state` (`table`) VALUES (?), ('')",
        r"SELECT 1 FROM `k`.`e` WHERE `a` = 'it\'s'",
        "CREATE OR REPLACE TABLE `k`.`e` (`id` STRING NOT NULL OPTIONS(description = 'x')) "
        "PARTITION BY TIMESTAMP_TRUNC(`t`, DAY) CLUSTER BY `id` OPTIONS(labels = [('a', 'b')]) AS "
        "SELECT `id` FROM `k`.`e`",
    ],
)
def test_what_bigquery_takes_is_sent(statement: str) -> None:
    assert broken_rules(statement, types={"n": "INT64", "s": "STRING(20)"}) == []


def test_statements_are_written_as_bigquery_reads_them() -> None:
    assert written('SELECT "a""b`c" FROM "k"."e" WHERE x = \'it\'\'s \\ "x"\'') == (
        "SELECT `a\"b\\`c` FROM `k`.`e` WHERE x = 'it\\'s \\\\ \"x\"'"
    )
    assert written("DELETE FROM t") == "DELETE FROM t WHERE true"
    assert written("INSERT INTO t VALUES (?, ?)", (True, False)) == "INSERT INTO t VALUES (NULL, ?)"
    assert (
        written("SELECT 1 UNION SELECT 2 UNION ALL SELECT 3") == "SELECT 1 UNION DISTINCT SELECT 2 UNION ALL SELECT 3"
    )
    places = (("_stage", "`k`.`_temporary_1`"),)
    assert written('DELETE FROM _stage WHERE "_stage"."id" = 1', (), places) == (
        "DELETE FROM `k`.`_temporary_1` AS _stage WHERE `_stage`.`id` = 1"
    )
    assert written("SELECT * FROM _stage AS came", (), places) == "SELECT * FROM `k`.`_temporary_1` AS came"
    assert written("INSERT INTO _stage VALUES (1)", (), places) == "INSERT INTO `k`.`_temporary_1` VALUES (1)"
