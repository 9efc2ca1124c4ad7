"""`dg.EnvVar` in the place of a setting."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.settings import Settings, SettingsError


def test_secrets_stay_in_the_environment_and_other_values_are_taken_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_DK", "pk_verysecret")
    monkeypatch.setenv("PLACE_DK", "postgresql://loader:hushhush@db/shop")
    monkeypatch.setenv("URL_DK", "https://klaviyo.test/api")
    settings = Settings(
        **{
            "api_key": dg.EnvVar("KEY_DK"),
            "hash_salt": dg.EnvVar("SALT_DK"),
            "warehouse": dg.EnvVar("PLACE_DK"),
            "api_url": dg.EnvVar("URL_DK"),
            "models": False,
        }
    )
    assert (settings.api_key_variable, settings.hash_salt_variable) == ("KEY_DK", "SALT_DK")
    assert (settings.warehouse, settings.api_url) == ("postgresql://loader@db/shop", "https://klaviyo.test/api")
    resources = build_definitions(settings).resources or {}
    account = resources["klaviyo_account"]
    assert isinstance(account, KlaviyoAccount) and account.api_key_variable == "KEY_DK"
    assert not {"verysecret", "hushhush"} & {word for word in ("verysecret", "hushhush") if word in repr(resources)}


def test_a_file_of_duckdb_may_be_in_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE_DK", "/shops/dk.duckdb")
    assert Settings(**{"duckdb_path": dg.EnvVar("PLACE_DK")}).warehouse == "/shops/dk.duckdb"
    assert Settings(api_key_variable=dg.EnvVar("KEY_DK")).api_key_variable == "KEY_DK"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"api_key": "pk_verysecret"}, "api_key: it has to be a variable of the environment, such as `dg.EnvVar("),
        ({"hash_salt": "hushhush"}, "hash_salt: it has to be a variable"),
        ({"api_key": dg.EnvVar("A"), "api_key_variable": "B"}, "api_key and api_key_variable are one setting"),
        ({"warehouse": dg.EnvVar("NOT_SET")}, "NOT_SET, which the setting `warehouse_variable` names, is not set"),
        ({"schema": dg.EnvVar("NOT_SET")}, "schema: the variable NOT_SET, which is to hold it, is not set"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**given)
    assert f"One setting is wrong:\n- {says}" in str(caught.value)
    assert "verysecret" not in str(caught.value) and "hushhush" not in str(caught.value)
