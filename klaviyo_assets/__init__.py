"""A Klaviyo account in your own warehouse, every table a Dagster asset."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klaviyo_assets.assets.options import StepOptions
    from klaviyo_assets.assets.translator import DagsterKlaviyoTranslator, KlaviyoAssetProps
    from klaviyo_assets.build import build_definitions, build_klaviyo_asset_specs
    from klaviyo_assets.component import KlaviyoComponent
    from klaviyo_assets.settings import Settings

__version__ = version("klaviyo-assets")

_MODULES = {
    "DagsterKlaviyoTranslator": "klaviyo_assets.assets.translator",
    "KlaviyoAssetProps": "klaviyo_assets.assets.translator",
    "KlaviyoComponent": "klaviyo_assets.component",
    "Settings": "klaviyo_assets.settings",
    "StepOptions": "klaviyo_assets.assets.options",
    "build_definitions": "klaviyo_assets.build",
    "build_klaviyo_asset_specs": "klaviyo_assets.build",
}

__all__ = [
    "DagsterKlaviyoTranslator",
    "KlaviyoAssetProps",
    "KlaviyoComponent",
    "Settings",
    "StepOptions",
    "__version__",
    "build_definitions",
    "build_klaviyo_asset_specs",
]


def __getattr__(name: str) -> object:
    """Import what is asked for: the commands need not wait for Dagster."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(importlib.import_module(_MODULES[name]), name))


def __dir__() -> list[str]:
    """Name what can be asked for as well."""
    return sorted({*globals(), *__all__})
