"""Parameters of addresses: which of them nobody may see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

SECRET = r"(?:pass(?:word|code|phrase)|pwd|secret|token|private_key|(?:api|client|server)_?key)"  # noqa: S105
"""End of the names of such parameters: their databases know some, and users mistype others."""

_NAME = re.compile(rf".*{SECRET}", re.IGNORECASE | re.DOTALL)
_SWITCH = ("true", "false", "")


def is_secret(name: str, value: str) -> bool:
    """Return whether a parameter holds a secret, by its name: `proxy_password`, `session_token`; a switch does not."""
    return bool(_NAME.fullmatch(name)) and value.lower() not in _SWITCH


def secrets_in(parameters: Mapping[str, object]) -> Iterator[str]:
    """Give the secrets that parameters hold."""
    return (str(value) for name, value in parameters.items() if value is not None and is_secret(name, str(value)))
