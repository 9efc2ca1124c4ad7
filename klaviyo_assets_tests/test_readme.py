"""The README's tables say what the code says: `python -m klaviyo_assets_tests.test_readme` writes them anew."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES

README = Path(__file__).parents[1] / "README.md"


def assets() -> str:
    graph = build_definitions(Settings()).resolve_asset_graph()
    keys = {key.path[-1] for key in graph.get_all_asset_keys() if key.path[0] == "klaviyo"}
    lines = ["| asset | what | read | key |", "|---|---|---|---|"]
    for table in TABLES:
        if table.name not in keys:
            continue
        if table.partitioned_by:
            read = "every sync, by day"
        elif table.family.name == "profiles":
            read = "every sync, with person"
        elif table.cadence is None:
            read = "every sync, as a whole"
        else:
            read = {1: "daily", 7: "weekly"}[table.cadence.days] + ", as a whole"
        what = table.description.split(". ")[0].split(": ")[0].rstrip(".")
        lines.append(f"| `klaviyo/{table.name}` | {what} | {read} | {', '.join(table.primary_key)} |")
    return "\n".join(lines)


def settings() -> str:
    lines = ["| setting | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        shown = "schema" if name == "schema_name" else name
        default = field.get_default(call_default_factory=True)
        if hasattr(default, "total_seconds"):
            minutes = int(default.total_seconds() // 60)
            default = f"PT{minutes}M" if minutes % 60 else f"PT{minutes // 60}H"
        if default is None:
            default = ""
        if isinstance(default, bool):
            default = str(default).lower()
        what = (field.description or "").removesuffix("; called `schema` in a settings file.")
        lines.append(f"| `{shown}` | `{default}` | {what} |".replace("`()`", "").replace("`{}`", "").replace("``", ""))
    return "\n".join(lines)


GENERATED = {"assets": assets, "settings": settings}


def with_tables(text: str) -> str:
    for name, make in GENERATED.items():
        pattern = rf"(<!-- {name}\b[^\n]*-->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(
            pattern, lambda found, make=make: f"{found[1]}{make()}\n{found[2]}", text, flags=re.DOTALL
        )
        assert count == 1, name
    return text


def test_the_tables_of_the_readme_are_those_of_the_code() -> None:
    text = README.read_text()
    assert with_tables(text) == text, "python -m klaviyo_assets_tests.test_readme writes the tables anew"


def test_the_readme_names_the_tables_that_are_off_by_default() -> None:
    (paragraph,) = re.findall(r"^Off by default: .*?(?=\n\n)", README.read_text(), re.DOTALL | re.MULTILINE)
    off = {table.name for table in TABLES if table.optional} | {"list_person", "segment_person"}
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"memberships", "tables"} == off


def test_the_readme_names_the_jobs_that_exist() -> None:
    text = README.read_text()
    jobs = {job.name for job in build_definitions(Settings()).resolve_all_job_defs()}
    assert jobs - {"__ASSET_JOB"} == set(re.findall(r"^\| `(klaviyo_\w+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("command", "runs"),
    [("demo", "demo"), ("dev", "dev"), ("demo WAREHOUSE=postgres", "demo --warehouse postgres")],
)
def test_what_the_readme_has_people_type_runs_the_command(command: str, runs: str) -> None:
    """The commands themselves are typed into a terminal by test_demo.py and test_places.py."""
    assert f"make {command}" in README.read_text()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", *command.split()], cwd=README.parent, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f".venv/bin/klaviyo-assets {runs}"


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
