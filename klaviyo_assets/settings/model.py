"""Every user setting, validated once.

A setting comes from the environment (`KLAVIYO_SCHEMA`; the shell, then `.env`), else from the file that
`KLAVIYO_SETTINGS` names, else it has its default.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ByteSize, Field, ValidationError, ValidationInfo, WithJsonSchema, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from klaviyo_assets import environment
from klaviyo_assets.hosts import is_of_this_machine
from klaviyo_assets.privacy.policy import SALT_VARIABLE, Privacy
from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.settings import sources
from klaviyo_assets.settings.columns import are_columns, are_switches
from klaviyo_assets.settings.env_vars import with_variables
from klaviyo_assets.settings.misspelt import misspelt
from klaviyo_assets.settings.problems import Problem, explained, refuse
from klaviyo_assets.settings.variables import are_variables
from klaviyo_assets.shared_limits.place import NONE, place
from klaviyo_assets.tables.registry import FIRST_TABLES
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.duckdb.location import is_in_memory
from klaviyo_assets.warehouse.location import Server, kind_of, located, server


def _seconds(value: Any) -> Any:
    """A number is seconds, in the environment too, where it is text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

_PART = re.compile(r"[0-9.]{1,20}(?:/[0-9]{1,6})?")

_LEAST_SHARE = Fraction(1, 16)
"""With less of them, a request of which Klaviyo allows two a minute would wait for more than ten minutes."""

_LONGEST_NAME = 63
"""Bytes of a name in Postgres."""

FOUNDED = dt.date(2012, 1, 1)
"""Klaviyo was founded in 2012: few accounts have events that are dated further back."""

Duration = Annotated[
    dt.timedelta,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": ["string", "number"], "description": "ISO 8601 such as PT1H, or seconds"}),
]


def _text(value: Any) -> Any:
    """A number is written as such in YAML."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Share = Annotated[
    str,
    BeforeValidator(_text),
    WithJsonSchema({"type": ["string", "number"], "description": "A fraction such as 1/3, or a number"}),
]


class Settings(BaseSettings):
    """The settings of one Klaviyo account. Durations are seconds, or ISO 8601 text such as `PT1H`.

    Args:
        values: Settings by name. What is not given comes from the environment, `.env` or the settings file, else it
            has its default. README.md lists all of them. `dg.EnvVar` stands for what a variable holds; secrets are
            only given so: `api_key`, `hash_salt`, and `warehouse` if there is a password in its address.

    Raises:
        SettingsError: Settings are wrong; it lists all that are, each with its place.

    Example:
        >>> Settings(schema="klaviyo_dk", sync_interval="PT30M", tables={"image": True}).sync_interval
        datetime.timedelta(seconds=1800)
        >>> Settings(sync_interval="PT7M")
        Traceback (most recent call last):
        klaviyo_assets.settings.problems.SettingsError: ...
    """

    model_config = SettingsConfigDict(
        protected_namespaces=("settings_customise_sources",),  # earlier versions of pydantic protect all of `model_`
        env_prefix=sources.ENV_PREFIX,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
    )

    name: str = Field("klaviyo", pattern=r"^[a-z][a-z0-9_]*$", description="Prefix of asset keys and jobs.")
    schema_name: str = Field(
        "klaviyo",
        validation_alias=sources.SCHEMA_ALIAS,
        min_length=1,
        description="Schema of the tables in the warehouse; called `schema` in a settings file.",
    )
    warehouse: str = Field(
        sources.DEFAULT_FILE,
        description="The warehouse: a DuckDB file, `md:name` for MotherDuck, a Postgres database: "
        "`postgresql://user@host/database` or `service=name`, one at Snowflake: `snowflake://user@account/database` "
        "or `connection=name`, BigQuery: `bigquery://project?location=EU`, or a ClickHouse server: "
        "`clickhouse://user@host:8123`. A password is taken from the environment only.",
    )
    warehouse_variable: str = Field(
        sources.WAREHOUSE,
        description="Name of the environment variable that holds the warehouse's address; it may hold a password.",
    )
    tables: dict[str, bool] = Field(
        default_factory=dict,
        description="Tables to turn on or off, by name: `{coupon_code: false, image: true}`. Default: all but the "
        "extra ones.",
    )
    api_url: str = Field("https://a.klaviyo.com/api", description="Base URL of the API.")
    api_key_variable: str = Field(
        "KLAVIYO_API_KEY", description="Name of the environment variable that holds the private API key."
    )
    history_start: dt.date | None = Field(
        None,
        description="The first day of EVENT and PERSON. Default: that of the account's first event.",
    )
    sync_interval: Duration = Field(
        dt.timedelta(hours=1),
        description="How often event and person are synced: 5 minutes to a day, a whole part of an hour or of a day.",
    )
    first_sync_days: int = Field(
        7, ge=0, description="Past days that the first sync brings; the backfill sensor requests the older ones."
    )
    history_chunk_days: int = Field(30, ge=1, description="Days of history that one run brings.")
    overlap: Duration = Field(
        dt.timedelta(hours=3),
        ge=dt.timedelta(0),
        description="How far before its watermark each sync starts to read: Klaviyo shows events late.",
    )
    reread_days: int = Field(
        7,
        ge=0,
        description="Days before the last daily re-read that the next one reads again completely: late events, "
        "attributions, deletes.",
    )
    delete_guard: float = Field(
        0.5, ge=0, le=1, description="Share of a table's live rows that one read may flag as deleted."
    )
    blocked_columns: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Columns that are never written, nor asked for where Klaviyo allows it, by table; patterns too: "
        '`{person: [phone_number, "custom_*phone*"]}`.',
    )
    hashed_columns: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Columns that are written as digests (HMAC-SHA256), by table; the same value has the same digest "
        "in every table.",
    )
    hash_salt_variable: str = Field(
        SALT_VARIABLE, description="Name of the environment variable that holds the secret salt of the digests."
    )
    new_columns: Literal["allow_all", "allow_columns", "block_all"] = Field(
        "allow_all",
        description="What appears by itself: `allow_columns` leaves out tables that a later version of this project "
        "adds, until `tables` turns them on; `block_all` also properties that a table with rows has no column for.",
    )
    packing: Literal["unpacked", "packed"] = Field(
        "unpacked",
        description="Properties of events and profiles as a column each, or packed into one JSON column: "
        "`custom_property_fields` of EVENT, `custom_fields` of PERSON.",
    )
    only_active_profiles: bool = Field(
        False, description="Leave out the events of profiles that were deleted in Klaviyo."
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
        "skip",
        description="What happens to a table whose scope the API key lacks: `skip` leaves it out with a warning, "
        "`fail` has its step fail.",
    )
    owners: tuple[str, ...] = Field(
        (), description="Owners of the assets in Dagster: e-mail addresses, or `team:data`."
    )
    max_dynamic_columns: int | None = Field(
        None,
        ge=0,
        description="Columns of properties that a table may have; the values of more go to one JSON column. Default: "
        "2,000 in DuckDB, Snowflake, BigQuery and ClickHouse, 1,400 in Postgres.",
    )
    max_concurrency: int = Field(
        12,
        ge=1,
        le=64,
        description="How many requests may be under way at a time, over all tables; fewer at first, and while Klaviyo "
        "refuses or is slow.",
    )
    rate_share: Share = Field(
        "1",
        description="The part of Klaviyo's rate limits that each process may use: `1/3` where three read the account "
        "at once, and nobody counts for all of them; `1/16` at least.",
    )
    rate_limits: str = Field(
        "",
        description="Where processes that read the account at once count their requests together: `warehouse` (in "
        "Postgres), `postgresql://user@host/database` or `redis://host:6379/0`; a password is taken from the "
        "environment only. `none`: nobody waits, for an account that is simulated on this machine. Default: each "
        "process counts by itself.",
    )
    processes: int | None = Field(
        None,
        ge=1,
        le=64,
        description="How many processes turn the pages of a long read into rows; `1` leaves all of it to the step's "
        "own. Each takes up to 300 MB. Default: the cores that the step may use, at most 4.",
    )
    request_timeout: dt.timedelta = Field(
        dt.timedelta(minutes=2),
        gt=dt.timedelta(0),
        description="How long Klaviyo may be silent during a request, which is tried again then.",
    )
    spool_limit: ByteSize | None = Field(
        None,
        description="How much of the temporary folder a step may take for rows on their way to the warehouse: `5GB`. "
        "So much has to be free before it reads. Default: as much as there is.",
    )
    executor: str = Field(
        "in_process",
        description="What runs the steps of a run: `in_process`, `multiprocess`, or another executor by its module and "
        "name: `dagster_celery:celery_executor`, `dagster_k8s:k8s_job_executor`.",
    )
    executor_config: dict[str, Any] = Field(
        default_factory=dict, description="What the executor is configured with, as Dagster documents it."
    )
    op_tags: dict[str, Any] = Field(
        default_factory=dict,
        description="Tags of all steps, such as the memory of their pods: "
        "`{dagster-k8s/config: {container_config: {resources: {limits: {memory: 2Gi}}}}}`.",
    )
    models: bool = Field(
        True, description="Models of campaigns, flows and people: `pip install 'klaviyo-assets[models]'` brings them."
    )
    model_variables: dict[str, Any] = Field(
        default_factory=dict, description="Variables of the models, by name: docs/models.md lists them."
    )
    shopify_schema: str = Field(
        "", description="Schema of Shopify's tables in the warehouse, which turns the Shopify models on."
    )

    def __init__(self, **values: Any) -> None:
        try:
            names = [*map(sources.public_name, type(self).model_fields), sources.FORMER_NAME]
            unknown = misspelt(environment.variables(), names, sources.ENV_PREFIX)
            values = with_variables(values)
            super().__init__(**unknown | sources.internal_names(values))
        except ValidationError as error:
            raise explained(error, names, _given_by(values), sources.public_name) from None

    @property
    def duckdb_path(self) -> str:
        """The warehouse, by the name that it had when there was no other database."""
        return self.warehouse

    @property
    def url_variable(self) -> str | None:
        """The environment variable that holds the warehouse's address with a password; None if none does."""
        held = environment.get(self.warehouse_variable)
        with suppress(ValueError):
            found = server(held) if held else None
            return self.warehouse_variable if found and found.has_secret and found.text == self.warehouse else None
        return None

    @property
    def rate_limits_variable(self) -> str | None:
        """The environment variable that holds the address of `rate_limits` with a password; None if none does."""
        held = environment.get(sources.RATE_LIMITS)
        with suppress(ValueError):
            found = place(held) if held else None
            return sources.RATE_LIMITS if found and found.has_secret and found.text == self.rate_limits else None
        return None

    @property
    def first_partition(self) -> dt.date:
        """The first day that has a partition; without a `history_start` it stands for all the days before, too."""
        return self.history_start or FOUNDED

    def enabled(self, table: Table) -> bool:
        """Return whether a table is synced."""
        default = table.name in FIRST_TABLES if self.new_columns != "allow_all" else not table.optional
        return self.tables.get(table.name, default)

    @cached_property
    def privacy(self) -> Privacy:
        """Which columns are blocked or hashed, and how properties are laid out."""
        return Privacy(
            {table: tuple(patterns) for table, patterns in self.blocked_columns.items()},
            {table: tuple(patterns) for table, patterns in self.hashed_columns.items()},
            self.hash_salt_variable,
            packed=self.packing == "packed",
            takes_new_columns=self.new_columns != "block_all",
        )

    def table(self, table: Table) -> Table:
        """Return a table of the registry as these settings have it written."""
        return self.privacy.table(table)

    @field_validator("sync_interval")
    @classmethod
    def _can_be_scheduled(cls, interval: dt.timedelta) -> dt.timedelta:
        minutes, seconds = divmod(interval.total_seconds(), 60)
        whole = 1440 % minutes == 0 if minutes and minutes % 60 == 0 else minutes and 60 % minutes == 0
        if seconds or not 5 <= minutes <= 1440 or not whole:
            raise ValueError("it must be 5 to 60 minutes that divide an hour, or hours that divide a day")
        return interval

    @field_validator("executor")
    @classmethod
    def _names_an_executor(cls, given: str) -> str:
        if given not in ("in_process", "multiprocess") and not _OBJECT.fullmatch(given):
            raise ValueError("it has to be in_process, multiprocess, or `module:name`: dagster_k8s:k8s_job_executor")
        return given

    @field_validator("rate_share")
    @classmethod
    def _is_a_part(cls, given: str) -> str:
        try:
            is_a_part = bool(_PART.fullmatch(given)) and _LEAST_SHARE <= Fraction(given) <= 1
        except (ValueError, ZeroDivisionError):
            is_a_part = False
        if not is_a_part:
            raise ValueError(f"it has to be a fraction such as 1/3, or a number, at least {_LEAST_SHARE} and at most 1")
        return given

    @field_validator("api_url")
    @classmethod
    def _is_an_address(cls, given: str) -> str:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError(
                "it has to be an address such as https://a.klaviyo.com/api, without a user, a password or a query in it"
            )
        return given

    @field_validator("warehouse")
    @classmethod
    def _is_the_same_everywhere(cls, given: str, info: ValidationInfo) -> str:
        if is_in_memory(given):
            raise ValueError("it has to be a file or `md:name`: of a database in memory nothing outlives the process")
        if found := server(given):
            refuse(_of_a_server(found, info.data.get("schema_name", "")))
        return located(given)

    @field_validator("rate_limits")
    @classmethod
    def _is_where_requests_are_counted(cls, given: str, info: ValidationInfo) -> str:
        given = given.strip()
        if found := place(given):
            if found.has_secret:
                raise ValueError(
                    "a password does not belong here, where it is kept in the clear: put the whole address into the "
                    f"environment variable {sources.RATE_LIMITS}, in .env for example"
                )
            return found.text
        if given == NONE:
            if not is_of_this_machine(info.data.get("api_url", "")):
                raise ValueError("`none` is for an account that is simulated on this machine: Klaviyo has limits")
            return given
        if given and kind_of(info.data.get("warehouse", "")) != "postgres":
            raise ValueError(
                "`warehouse` can only be in Postgres: another one is too slow to be asked for each request"
            )
        return given

    @field_validator("tables", mode="before")
    @classmethod
    def _tables_exist(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            refuse(are_switches(given))
        return given

    @field_validator("blocked_columns", "hashed_columns", mode="before")
    @classmethod
    def _columns_exist(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            refuse(are_columns(given))
        return given

    @field_validator("model_variables", mode="before")
    @classmethod
    def _variables_exist(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            refuse(are_variables(given))
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Python first, then the environment, then the settings file."""
        return (
            init_settings,
            sources.Environment(settings_cls),
            sources.SettingsFile(settings_cls),
            sources.FormerDefaults(settings_cls),
        )


_KEEPERS = {
    "postgres": "~/.pgpass, or to a service (`service=name`)",
    "snowflake": "connections.toml (`connection=name`)",
    "bigquery": "Google's libraries (`GOOGLE_APPLICATION_CREDENTIALS`), or to a file (`credentials_path`)",
}
"""Kind of a database -> what else may keep its secret."""


def _of_a_server(address: Server, schema: str) -> Iterator[Problem]:
    """Yield what is wrong with the address of a server, and with the schema there."""
    if address.has_secret:
        yield (
            (),
            f"a {'key' if address.kind == 'bigquery' else 'password'} does not belong here, where it is kept in the "
            f"clear. Put the whole address into the environment variable {sources.WAREHOUSE}, in .env for example (or "
            "into another one, which the setting `warehouse_variable` names)"
            + (f"; or leave it to {keeper}" if (keeper := _KEEPERS.get(address.kind)) else ""),
        )
    if address.kind != "postgres":
        return
    room = _LONGEST_NAME - len(STAGING)
    if len(schema.encode()) > room:
        yield (), f"the setting `schema` may have {room} bytes there: Postgres cuts names at {_LONGEST_NAME}"
    if schema.lower().startswith("pg_"):
        yield (), "the setting `schema` may not begin with pg_ there: Postgres keeps such names to itself"


def _given_by(values: Mapping[str, Any]) -> Callable[[str], str | None]:
    """Return a function that says where a setting comes from; None for Python."""

    def source(name: str) -> str | None:
        public = sources.public_name(name)
        if {name, public} & {*values, *sources.internal_names(values)}:
            return None
        place = sources.setting_origin(public) or sources.settings_file()
        return place.removesuffix(" in the shell") if place else None

    return source
