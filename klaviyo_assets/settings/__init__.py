"""What the user may choose: from Python, the environment, or a YAML file."""

from klaviyo_assets.settings.accounts import require_distinct
from klaviyo_assets.settings.model import Settings
from klaviyo_assets.settings.problems import SettingsError

__all__ = ["Settings", "SettingsError", "require_distinct"]
