"""`klaviyo-assets init`: asks for the key and the place of the warehouse, tries both, and writes them down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click
from dotenv import set_key

from klaviyo_assets import environment
from klaviyo_assets.cli.extras import require
from klaviyo_assets.text import clean

if TYPE_CHECKING:
    from klaviyo_assets.cli.check import CheckReport

SETTINGS = "klaviyo.yaml"

_WITHOUT_PASSWORD = re.compile(
    r"(?:postgres(?:ql)?|clickhouses?|snowflake)://[^:@/\s]+@(?!.*(?:private_key\w*|authenticator)=)", re.IGNORECASE
)
_NEEDS_NO_QUOTES = re.compile(r"[\w@%+=:,./?&~-]+")
_NEXT = """
Next:
  klaviyo-assets check    shows which tables the key can feed
  klaviyo-assets sync     brings the latest days, and every other table
  klaviyo-assets dev      opens the UI, where the schedule and the sensor of the history are started\
"""


@dataclass
class _Place:
    """Where things are written. file: of the settings. is_new: whether it is still to be made."""

    file: str
    is_new: bool
    key_variable: str
    warehouse_variable: str
    warehouse: str

    @classmethod
    def found(cls) -> _Place:
        """Look at what is there already. Raises SettingsError if settings are wrong."""
        from klaviyo_assets.settings import Settings, sources

        file = sources.settings_file() or SETTINGS
        is_new = not Path(file).exists()
        default = sources.FORMER_FILE if sources.former_file() else sources.DEFAULT_FILE
        with _trying(KLAVIYO_SETTINGS="" if is_new else file):
            variable, said = sources.variable("warehouse"), sources.in_file().get("warehouse", default)
            key_variable = Settings().api_key_variable
        return cls(file, is_new, key_variable, variable, environment.get(variable) or str(said))

    def trying(self, key: str, address: str) -> AbstractContextManager[None]:
        """Have the settings say so meanwhile."""
        given = {self.key_variable: key, self.warehouse_variable: address}
        return _trying(KLAVIYO_SETTINGS="" if self.is_new else self.file, **given)


@click.command()
@click.option(
    "--from-env",
    is_flag=True,
    help="Ask nothing: the key is in KLAVIYO_API_KEY, and the warehouse in KLAVIYO_WAREHOUSE if that is set.",
)
@click.option("--warehouse", help="Address of the warehouse, without a password.")
@click.option("--yes", is_flag=True, help="Replace what .env has without asking.")
def init(from_env: bool, warehouse: str | None, yes: bool) -> None:
    """Connect a Klaviyo account: ask for the key and the place of the warehouse, try both, and write them down.

    Secrets go to .env, which only you can read and git ignores, the other settings to klaviyo.yaml. What does not work
    is asked again, or ends this with 1; until both work, nothing is written.
    """
    from klaviyo_assets.settings.describe import beginning
    from klaviyo_assets.warehouse.location import shown

    if warehouse and shown(warehouse) != warehouse:
        raise click.UsageError("--warehouse would show the password to others: leave it out, it is asked for.")
    place = _Place.found()
    key = _first_good(_keys(place.key_variable, from_env), lambda key: _key_problem(place, key))
    reports: list[CheckReport] = []
    addresses = [warehouse or place.warehouse] if warehouse or from_env else _addresses(place.warehouse)
    address = _first_good(addresses, lambda address: _place_problem(place, key, address, reports))
    in_env = _for_env(place, key, address)
    loaded = {name for name in in_env if environment.get(name) and environment.origin(name) == environment.FILE}
    chosen = set() if from_env else {place.key_variable} | (set() if warehouse else {place.warehouse_variable})
    _may_write({name: in_env[name] for name in in_env if name not in loaded & chosen}, asks=not from_env, yes=yes)

    try:
        _ignore()
        if place.is_new:
            Path(place.file).write_text(beginning(None if place.warehouse_variable in in_env else address))
        _write(in_env)
    except OSError as error:
        raise click.ClickException(f"{error.filename} can't be written: {error.strerror}.") from None
    os.environ.update({name: in_env[name] for name in loaded})  # the shell has none of these
    _tell(reports[-1], in_env, place)


def _keys(variable: str, from_env: bool) -> Iterator[str]:
    """Yield keys to try: the one that is set, if it is to be kept, then those that are typed."""
    there = environment.get(variable)
    if from_env:
        if not there:
            raise click.ClickException(f"{variable} is not set: it holds the private API key.")
        yield there
        return
    if there and click.confirm(f"{variable} is set in {environment.origin(variable)}. Keep it?", default=True):
        yield there
    while True:
        yield click.prompt(
            "Private API key (in Klaviyo: Settings > API keys; it is not shown)", hide_input=True
        ).strip()


def _addresses(before: str) -> Iterator[str]:
    """Yield addresses of a warehouse that are typed, with the password that is asked for. before: the one so far."""
    from klaviyo_assets.warehouse.location import shown

    question = (
        "Where the tables go: a DuckDB file, postgresql://user@host/database, snowflake://user@account/database, "
        "bigquery://project or clickhouse://user@host"
    )
    while True:
        address = click.prompt(question, default=shown(before)).strip()
        if address == shown(before):
            address = before
        elif _WITHOUT_PASSWORD.match(address):
            password = click.prompt("Password (Enter: none)", hide_input=True, default="", show_default=False)
            secret = f":{quote(password, safe='')}" if password else ""
            address = address.replace("@", f"{secret}@", 1)
        yield address


def _first_good(answers: Iterable[str], problem: Callable[[str], str]) -> str:
    """Return the first answer that has no problem, and say what is wrong with those before; exit with 1 without one."""
    for answer in answers:
        says = problem(answer)
        if not says:
            return answer
        click.echo(f"{clean(says)}\n", err=True)
    raise click.exceptions.Exit(1)


def _key_problem(place: _Place, key: str) -> str:
    from klaviyo_assets.cli.check import key_problems
    from klaviyo_assets.settings import Settings

    with place.trying(key, place.warehouse):
        return "\n".join(key_problems(Settings()))


def _place_problem(place: _Place, key: str, address: str, reports: list[CheckReport]) -> str:
    from klaviyo_assets.cli.check import check
    from klaviyo_assets.settings import Settings, SettingsError
    from klaviyo_assets.warehouse.location import kind_of

    with place.trying(key, address):
        try:
            settings = Settings()
        except SettingsError as error:
            return str(error)
        if (kind := kind_of(address)) != "duckdb":
            require(kind)
        reports.append(check(settings))
    return "\n".join(reports[-1].problems)


def _for_env(place: _Place, key: str, address: str) -> dict[str, str]:
    """Return what belongs to `.env`: the warehouse only if it is secret, or nothing else would say where it is."""
    from klaviyo_assets.warehouse.location import shown

    found = {place.key_variable: key, "KLAVIYO_SETTINGS": place.file}
    said_elsewhere = place.is_new or address == place.warehouse
    if shown(address) != address or place.warehouse_variable in environment.written() or not said_elsewhere:
        found[place.warehouse_variable] = address
    return found


def _may_write(values: Mapping[str, str], *, asks: bool, yes: bool) -> None:
    """Make sure that other values of `.env` may be replaced; raise click.ClickException if not."""
    for name, value in values.items():
        if yes or environment.written().get(name) in (None, "", value):
            continue
        if not asks or not click.confirm(f"{environment.FILE} has another {name}. Replace it?"):
            raise click.ClickException(
                f"{environment.FILE} has another {name}, which --yes replaces. Nothing was written."
            )


def _write(values: Mapping[str, str]) -> None:
    """Write variables to `.env`, whose other lines stay, for the eyes of its owner only."""
    file = Path(environment.FILE).resolve()
    file.touch(mode=0o600)
    file.chmod(0o600)
    for name, value in values.items():
        if environment.written().get(name) != value:  # which may be there as `${ANOTHER}`
            set_key(file, name, value, quote_mode="never" if _NEEDS_NO_QUOTES.fullmatch(value) else "always")
    file.chmod(0o600)


def _ignore() -> None:
    """Have git ignore `.env`, if the folder is in a repository."""
    git = shutil.which("git")
    if git is None:
        return
    ignored = subprocess.run([git, "check-ignore", "--quiet", "--no-index", environment.FILE], capture_output=True)  # noqa: S603
    if ignored.returncode == 1:
        file = Path(".gitignore")
        before = file.read_text() if file.exists() else ""
        file.write_text(f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}{environment.FILE}\n")
    tracked = subprocess.run([git, "ls-files", environment.FILE], capture_output=True)  # noqa: S603
    if tracked.stdout:
        click.echo(
            f"WARNING: {environment.FILE} is in the git repository: `git rm --cached {environment.FILE}` takes it out, "
            "and keys that were in it should be made anew.",
            err=True,
        )


def _tell(report: CheckReport, in_env: Mapping[str, str], place: _Place) -> None:
    click.echo(f"\nThe account {clean(report.account or 'of the key')} goes to {report.warehouse}.")
    for scope in report.scopes:
        if scope.problem and scope.tables:
            click.echo(f"The key lacks the scope {scope.scope}: {', '.join(scope.tables)} will be skipped.")
    for warning in report.warnings:
        click.echo(f"WARNING: {clean(warning)}", err=True)
    for name in environment.differing():
        if name in in_env:
            click.echo(f"WARNING: the shell has another {name}, which wins over {environment.FILE}.", err=True)
    click.echo(f"{environment.FILE} has {', '.join(in_env)}; only you can read it.")
    made = (
        "is new; `klaviyo-assets settings --example` shows all that it may hold" if place.is_new else "stays as it was"
    )
    click.echo(f"{place.file} {made}.")
    click.echo(_NEXT)


def _trying(**variables: str) -> AbstractContextManager[None]:
    """Set variables meanwhile, whatever the shell or `.env` says."""
    from klaviyo_assets.cli import places

    return places.variables(**environment.settled(), **variables)
