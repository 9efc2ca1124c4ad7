"""Text from Klaviyo, where it leaves for a page, a picture or a terminal."""

from __future__ import annotations

import re

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 does not allow, and what a terminal takes for a command. Tables keep it: it is part of the value."""


def clean(text: str) -> str:
    """Return text that XML, HTML, UTF-8 and terminals bear: each character that they do not becomes U+FFFD."""
    return _UNFIT.sub("\ufffd", text)
