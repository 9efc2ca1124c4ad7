"""Command lines as README, docs and `deploy/` show them: parsed by the commands themselves, not run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli

from klaviyo_assets.cli.main import main

MAKEFILE = Path(__file__).parents[1] / "Makefile"
PROGRAMS: dict[str, Callable[[], click.Command]] = {
    "klaviyo-assets": lambda: main,
    "dagster": create_dagster_cli,
    "dagster-daemon": create_dagster_daemon_cli,
    "dagster-webserver": create_dagster_webserver_cli,
}


def parse(line: str) -> str | None:
    """Return the program of a line, None if it is none of those that are known here.

    Files that a line names need not be there. Raises AssertionError or click.UsageError if a command, an option or a
    target does not exist.
    """
    words = shlex.split(line.removeprefix("uv run "))
    name = Path(words[0]).name
    if name == "make":
        _parse_make(words[1:])
    elif name in PROGRAMS:
        _parse_click(PROGRAMS[name](), name, words[1:])
    else:
        return None
    return name


def _parse_make(words: list[str]) -> None:
    text = MAKEFILE.read_text()
    targets = {word for word in words if "=" not in word} or {"install"}
    for target in targets:
        assert re.search(rf"^{target}:.*## ", text, re.MULTILINE), f"make {target}"
    for variable in (word.partition("=")[0] for word in words if "=" in word):
        assert f"$({variable})" in text or f"$(if $({variable})" in text, f"make {variable}=..."


def _parse_click(command: click.Command, name: str, words: list[str]) -> None:
    context = click.Context(command, info_name=name)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found, f"{context.command_path} {words[0]}"
        command, context, words = found, click.Context(found, info_name=words[0], parent=context), words[1:]
    if isinstance(command, click.Group) and not words:
        return
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            parameter.type = click.Path()
    # Prose leaves out what follows: "with `dagster dev -m`". And `--help` is answered.
    with suppress(click.MissingParameter, click.BadOptionUsage, click.exceptions.Exit):
        command.make_context(context.info_name, words, parent=context.parent)
