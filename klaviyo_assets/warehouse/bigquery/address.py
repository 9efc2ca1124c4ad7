"""Where BigQuery's datasets are: `bigquery://project?location=EU`. The dataset is the warehouse's schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

SECRETS = ("credentials_base64",)
"""Parameters that nobody may see."""

PARAMETERS = (
    "location",
    "credentials_path",
    "credentials_variable",
    "quota_project",
    "maximum_bytes_billed",
    "endpoint",
    *SECRETS,
)
"""What may be told. endpoint: of an emulator, which needs no credentials."""

_URL = re.compile(
    r"bigquery://(?P<project>[a-z][a-z0-9.:-]*[a-z0-9])/?(?:\?(?P<query>[^@\s]*))?", re.IGNORECASE
)  # "example.com:project" is one, too
_SCHEME = re.compile("bigquery://", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """A project at BigQuery.

    text: without secrets. parameters: secrets included. place: the same for all addresses that tell the same project.
    """

    text: str
    project: str
    parameters: Mapping[str, str]
    place: str

    @property
    def most_billed(self) -> int | None:
        """Bytes that one statement may cost; None: any number."""
        return int(self.parameters.get("maximum_bytes_billed") or 0) or None

    @property
    def has_secret(self) -> bool:
        """Whether the address that it comes from holds any."""
        return any(self.parameters.get(name) for name in SECRETS)


def is_bigquery(address: str) -> bool:
    """Return whether an address is meant to be one of BigQuery's."""
    return bool(_SCHEME.match(address.strip()))


def parsed(address: str) -> Address:
    """Read an address; raise ValueError, which does not repeat it, if it is none of BigQuery's."""
    url = _URL.fullmatch(address.strip())
    if url is None:
        raise ValueError("it is no address of a project at BigQuery, such as bigquery://project?location=EU")
    given = dict(parse_qsl(url["query"] or "", keep_blank_values=True))
    if unknown := sorted(given.keys() - set(PARAMETERS)):
        raise ValueError(f"{', '.join(unknown)}: a BigQuery address has {', '.join(PARAMETERS)} only")
    if not (given.get("maximum_bytes_billed") or "1").isdecimal():
        raise ValueError("maximum_bytes_billed has to be a number of bytes, 10000000000 for example")
    told = "&".join(f"{name}={quote(value, safe='/:')}" for name, value in given.items() if name not in SECRETS)
    project = url["project"].lower()
    text = f"bigquery://{project}{'?' if told else ''}{told}"
    return Address(text, project, given, f"bigquery://{given.get('endpoint', '')}{project}")
