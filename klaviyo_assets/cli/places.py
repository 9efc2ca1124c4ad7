"""Where an account keeps what belongs to it on this machine: its file, its DAGSTER_HOME and, if simulated, itself.

data/warehouse.duckdb    data/warehouse_dagster/    the account of an API key
data/demo.duckdb         data/demo_dagster/         the simulated account, with data/demo_account.json
data/demo_postgres/      data/demo_postgres_dagster/   the same, in a Postgres server of its own
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import filelock
import yaml

from klaviyo_assets import environment
from klaviyo_assets.dagster_storage.event_log import KEPT_OPEN
from klaviyo_assets.settings import Settings
from klaviyo_assets.shared_limits.place import NONE
from klaviyo_assets.warehouse.duckdb.location import file_of
from klaviyo_assets.warehouse.location import Kind, server

DEMO = Path("data/demo.duckdb")

SANDBOX_KEY = "pk_sandbox"
"""The API key of every simulated account."""

SANDBOX_LOCATION = "klaviyo_sandbox"
"""The code location of the simulated account."""

SHOPIFY_SCHEMA = "shopify"
"""Where the orders of the simulated shop go."""

RECENT = dt.timedelta(days=7)
"""How long the demo begins with the same account: in an older one nothing would have happened lately."""


class NotSimulated(Exception):
    """A file can't be used for the simulated account: it belongs to something else, or is in use."""


@dataclass
class SimulatedAccount:
    """The account of the demo, and of `klaviyo-assets dev` without a key: the same in both.

    It is made of the options and the time that are stored beside its file, so that it has the same ids and times
    whenever it is served.

    database: its DuckDB file, or the folder of its Postgres server. options: arguments of `generate_account`. now: when
    it was made; its events lie before. told: what has happened to it since, as commands of the sandbox. kind: of the
    database.
    """

    database: Path
    options: dict[str, int]
    now: dt.datetime
    told: list[dict[str, Any]] = field(default_factory=list)
    kind: Kind = "duckdb"

    @classmethod
    def begin(cls, database: Path, options: Mapping[str, int], kind: Kind = "duckdb") -> SimulatedAccount:
        """Make an account, or take the one that is there as it was made; remove what a demo has left.

        The tables on a server are left to `serving`. Raises NotSimulated if the file does not belong to a simulated
        account.
        """
        account = cls(database, dict(options), dt.datetime.now(dt.UTC), kind=kind)
        before = _stored(database)
        if before and before.kind != kind:
            raise NotSimulated(
                f"{database} holds a simulated account in {before.kind}: choose another place with --database."
            )
        if before:
            if before.options == account.options and dt.timedelta(0) <= account.now - before.now < RECENT:
                account.now = before.now
            for file in (database, database.with_name(f"{database.name}.wal")) if kind == "duckdb" else ():
                file.unlink(missing_ok=True)
            shutil.rmtree(account.home, ignore_errors=True)
        elif database.exists():
            raise NotSimulated(
                f"{database} is there and holds no simulated account: it stays as it is. Choose another file with "
                "--database, or remove this one if the demo of an earlier version has made it."
            )
        account._store()
        return account

    @classmethod
    def resume(cls, database: Path, options: Mapping[str, int], chosen: Mapping[str, int]) -> SimulatedAccount:
        """Return the account that is there, else make one of the options.

        chosen: the options that the user insists on. Raises NotSimulated if the file belongs to another account.
        """
        account = _stored(database)
        if account is None:
            return cls.begin(database, options)
        if different := [name for name, value in chosen.items() if account.options[name] != value]:
            raise NotSimulated(
                f"{database} holds a simulated account with {account.options[different[0]]:,} {different[0]}. "
                "`klaviyo-assets demo` replaces it; --database leaves it alone."
            )
        return account

    @property
    def home(self) -> Path:
        """Its DAGSTER_HOME."""
        return _beside(self.database, "_dagster")

    @contextmanager
    def environment(self, url: str, address: str) -> Iterator[None]:
        """Point the settings and Dagster at the account, served at a URL, whatever the user's say of places.

        What they say of other things (`tables`, `sync_interval` ...) holds. address: of its warehouse.
        """
        settings = os.environ.get("KLAVIYO_SETTINGS")
        paths = os.environ.get("PYTHONPATH")
        prepare_home(self.home)
        with variables(
            KLAVIYO_API_KEY=SANDBOX_KEY,
            KLAVIYO_API_KEY_VARIABLE="KLAVIYO_API_KEY",
            KLAVIYO_API_URL=url,
            KLAVIYO_RATE_LIMITS=NONE,
            KLAVIYO_NAME="klaviyo",
            KLAVIYO_SCHEMA="klaviyo",
            KLAVIYO_SHOPIFY_SCHEMA=SHOPIFY_SCHEMA,
            KLAVIYO_WAREHOUSE=address,
            KLAVIYO_DUCKDB_PATH=address,
            KLAVIYO_WAREHOUSE_VARIABLE="KLAVIYO_WAREHOUSE",
            KLAVIYO_SETTINGS=str(Path(settings).absolute()) if settings else None,
            PYTHONPATH=os.pathsep.join(map(os.path.abspath, paths.split(os.pathsep))) if paths else None,
            DAGSTER_HOME=str(self.home.absolute()),
            **environment.settled(),
        ):
            yield

    def workspace(self) -> Path:
        """Write the workspace file of `dagster dev`, and return its path."""
        module = {"module_name": "klaviyo_assets.definitions", "location_name": SANDBOX_LOCATION}
        file = self.home.absolute() / "workspace.yaml"
        file.write_text(yaml.safe_dump({"load_from": [{"python_module": module}]}))
        return file

    def remember(self, command: str, **arguments: Any) -> None:
        """Store that something happens to the account: a command of the sandbox."""
        self.told.append({"command": command, "arguments": arguments})
        self._store()

    def _store(self) -> None:
        values = asdict(self) | {"now": self.now.isoformat()}
        del values["database"]
        self.database.parent.mkdir(parents=True, exist_ok=True)
        _record(self.database).write_text(json.dumps(values, indent=2) + "\n")


@contextmanager
def in_use(database: Path) -> Iterator[None]:
    """Keep other demos from a simulated account meanwhile; raises NotSimulated if one has it."""
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(_beside(database, "_account.lock"), timeout=0):
            yield
    except filelock.Timeout:
        raise NotSimulated(
            f"Another `klaviyo-assets demo` or `dev` is using {database}: stop it, or choose a file with --database."
        ) from None


@contextmanager
def home_of(settings: Settings) -> Iterator[Path]:
    """Set DAGSTER_HOME to the home of a real account: the user's own if there is one, else beside the warehouse.

    Raises click.ClickException if it is not there and can't be made, or if Dagster can't read or write it.
    """
    from sqlalchemy.exc import DBAPIError

    given = environment.get("DAGSTER_HOME")
    home = Path(given) if given else default_home(settings)
    try:
        prepare_home(home)
    except OSError as error:
        raise click.ClickException(
            f"Dagster's history of runs can't be kept in {home}: {error.strerror}. It is where DAGSTER_HOME says, else "
            "beside the warehouse."
        ) from None
    try:
        with variables(DAGSTER_HOME=str(home.absolute())):
            yield home
    except DBAPIError as error:
        raise click.ClickException(
            f"Dagster's history of runs, of {home}, can't be read or written: {str(error.orig).strip()}. It is where "
            "DAGSTER_HOME says, else beside the warehouse; its disk may be full."
        ) from None


def default_home(settings: Settings) -> Path:
    """Return the DAGSTER_HOME of an account, which no other account shares: accounts share no schema of a file."""
    path = settings.warehouse
    if on_server := server(path):
        name = re.sub(r"\W", "_", on_server.database or path.partition("=")[2])
        file = Path("data", f"{on_server.kind}_{name}_{hashlib.sha256(on_server.place.encode()).hexdigest()[:8]}")
    else:
        file = file_of(path) or Path("data", path.partition(":")[2].partition("?")[0])
    schema = "" if settings.schema_name == "klaviyo" else f"_{settings.schema_name}"
    return _beside(file, f"{schema}_dagster")


def prepare_home(home: Path) -> None:
    """Make a DAGSTER_HOME, unless there is one."""
    if not (home / "dagster.yaml").exists():
        home.mkdir(parents=True, exist_ok=True)
        quiet = "telemetry:\n  enabled: false\npython_logs:\n  python_log_level: INFO\n"
        (home / "dagster.yaml").write_text(quiet + KEPT_OPEN)


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.stem + ending)


def _record(database: Path) -> Path:
    return _beside(database, "_account.json")


def _stored(database: Path) -> SimulatedAccount | None:
    file = _record(database)
    if not file.exists():
        return None
    values = json.loads(file.read_text())
    made, kind = dt.datetime.fromisoformat(values["now"]), values.get("kind", "duckdb")
    return SimulatedAccount(database, values["options"], made, values["told"], kind)


@contextmanager
def variables(**variables: str | None) -> Iterator[None]:
    """Set variables meanwhile; those that are None stay as they are."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update({name: value for name, value in variables.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
