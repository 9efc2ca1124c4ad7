"""Every user setting, validated once.

A setting comes from the environment (`KLAVIYO_SCHEMA`), else from the file that `KLAVIYO_SETTINGS` names, else it has
its default.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from klaviyo_assets.tables.catalogue import TABLES
from klaviyo_assets.tables.table import Table


class Settings(BaseSettings):
    """The settings of one Klaviyo account. Durations are seconds, or ISO 8601 text such as `PT1H`."""

    model_config = SettingsConfigDict(
        env_prefix="KLAVIYO_", extra="forbid", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    name: str = Field("klaviyo", pattern=r"^[a-z][a-z0-9_]*$", description="Prefix of asset keys and jobs.")
    destination_schema: str = Field(
        "klaviyo",
        validation_alias="KLAVIYO_SCHEMA",
        min_length=1,
        description="Schema of the tables in the warehouse; called `schema` in a settings file.",
    )
    duckdb_path: str = Field("data/klaviyo.duckdb", description="The DuckDB file, or `md:name` for MotherDuck.")
    tables: dict[str, bool] = Field(
        default_factory=dict,
        description="Tables to turn on or off, by name: `{coupon_code: false, image: true}`. Default: all but the "
        "extra ones.",
    )
    api_url: str = Field("https://a.klaviyo.com/api", description="Base URL of the API.")
    api_key_variable: str = Field(
        "KLAVIYO_API_KEY", description="Name of the environment variable that holds the private API key."
    )
    history_start: dt.date = Field(
        dt.date(2012, 1, 1), description="The first day of EVENT and PERSON; Klaviyo was founded in 2012."
    )
    sync_interval: dt.timedelta = Field(
        dt.timedelta(hours=1),
        description="How often event and person are synced: 5 minutes to a day, a whole part of an hour or of a day.",
    )
    first_sync_days: int = Field(
        7, ge=0, description="Past days that the first sync brings; `klaviyo_backfill_sensor` requests the older ones."
    )
    history_chunk_days: int = Field(30, ge=1, description="Days of history that one run brings.")
    overlap: dt.timedelta = Field(
        dt.timedelta(hours=3),
        ge=dt.timedelta(0),
        description="How far before its watermark each sync starts to read: Klaviyo shows events late.",
    )
    reread_days: int = Field(
        7,
        ge=0,
        description="Past days that one sync a day reads again completely: late events, attributions, deletes.",
    )
    delete_guard: float = Field(
        0.5, ge=0, le=1, description="Share of a table's live rows that one read may flag as deleted."
    )
    memberships: Literal["off", "weekly", "incremental"] = Field(
        "off",
        description="LIST_PERSON and SEGMENT_PERSON: a complete read every week; `incremental` also reads who joined "
        "with every sync.",
    )
    predictive_analytics: Literal["off", "weekly"] = Field(
        "off", description="PERSON's predictive_analytics columns, in a slow pass of their own."
    )
    missing_scope: Literal["skip", "fail"] = Field(
        "skip", description="What happens to a table whose scope the API key lacks."
    )
    owners: tuple[str, ...] = Field(
        (), description="Owners of the assets in Dagster: e-mail addresses, or `team:data`."
    )
    max_dynamic_columns: int = Field(
        2000,
        ge=0,
        description="Columns of properties that a table may have; the values of more go to one JSON column.",
    )
    max_concurrency: int = Field(8, ge=1, le=64, description="Most requests at a time, over all tables.")
    request_timeout: dt.timedelta = Field(
        dt.timedelta(minutes=2),
        gt=dt.timedelta(0),
        description="How long Klaviyo may be silent during a request, which is tried again then.",
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**_public_names(values))

    def enabled(self, table: Table) -> bool:
        """Return whether a table is synced."""
        return self.tables.get(table.name, not table.optional)

    @field_validator("sync_interval")
    @classmethod
    def _can_be_scheduled(cls, interval: dt.timedelta) -> dt.timedelta:
        minutes, seconds = divmod(interval.total_seconds(), 60)
        whole = 1440 % minutes == 0 if minutes and minutes % 60 == 0 else minutes and 60 % minutes == 0
        if seconds or not 5 <= minutes <= 1440 or not whole:
            raise ValueError("it must be 5 to 60 minutes that divide an hour, or hours that divide a day")
        return interval

    @field_validator("tables")
    @classmethod
    def _tables_exist(cls, tables: dict[str, bool]) -> dict[str, bool]:
        unknown = sorted(tables.keys() - {table.name for table in TABLES})
        if unknown:
            raise ValueError(f"there is no table {', '.join(unknown)}")
        return tables

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Python first, then the environment, then the settings file (JSON is YAML too)."""
        file = os.environ.get("KLAVIYO_SETTINGS")
        if not file:
            return init_settings, env_settings
        if not Path(file).is_file():
            raise FileNotFoundError(f"KLAVIYO_SETTINGS names {file}, which does not exist.")
        return init_settings, env_settings, _SettingsFile(settings_cls, yaml_file=file)


class _SettingsFile(YamlConfigSettingsSource):
    def __call__(self) -> dict[str, Any]:
        return _public_names(super().__call__())


def _public_names(values: dict[str, Any]) -> dict[str, Any]:
    """Users write `schema`, which can't be a field: pydantic has a method of that name."""
    return {"KLAVIYO_SCHEMA" if name == "schema" else name: value for name, value in values.items()}


def require_distinct(accounts: Sequence[Settings]) -> None:
    """Raise ValueError if two accounts have one name, or would write to the same tables."""
    names: set[str] = set()
    schemas: dict[tuple[str, str], str] = {}
    for settings in accounts:
        if settings.name in names:
            raise ValueError(f"Two accounts have the name {settings.name}: give each a `name` of its own.")
        names.add(settings.name)
        path = settings.duckdb_path
        database = path if ":" in path else str(Path(path).resolve())
        for schema in (settings.destination_schema, f"{settings.destination_schema}_staging"):
            other = schemas.setdefault((database, schema.lower()), settings.name)
            if other != settings.name:
                raise ValueError(
                    f"The accounts {other} and {settings.name} would both write to the schema {schema} of {path}: "
                    "give each a `schema` or a `duckdb_path` of its own."
                )
