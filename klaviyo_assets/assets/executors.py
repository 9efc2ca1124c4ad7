"""The executor that the settings name."""

from __future__ import annotations

from importlib import import_module

import dagster as dg
from dagster._config import validate_config

from klaviyo_assets.settings import Settings, SettingsError

_OWN = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """Return the executor of an account's jobs.

    Raises SettingsError if its module can't be imported, whatever that fails with, does not have it, or it can't be
    configured so.
    """
    module, _, name = settings.executor.partition(":")
    try:
        found = _OWN.get(settings.executor) or getattr(import_module(module), name, None)
    except ImportError as error:
        raise SettingsError(f"The setting `executor` names {settings.executor}, and {error}.") from None
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise SettingsError(
            f"The setting `executor` names {settings.executor}, and {module} can't be imported ({reason})."
        ) from error
    if found is None:
        raise SettingsError(f"The setting `executor` names {settings.executor}, and {module} has no {name}.")
    if not isinstance(found, dg.ExecutorDefinition):
        raise SettingsError(f"The setting `executor` names {settings.executor}, which is no executor of Dagster.")
    if not settings.executor_config:
        return found
    checked = validate_config(found.config_schema.config_type, settings.executor_config)
    if checked.errors:
        raise SettingsError(f"The setting `executor_config` is wrong: {checked.errors[0].message}")
    return found.configured(settings.executor_config)
