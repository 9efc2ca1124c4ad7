"""Reads with Klaviyo's SDK of revision 2026-10-15, in an environment of its own: `python latest_sdk.py <url>`.

Standard input has a JSON list of [operation, arguments]; for each, standard output gets a JSON list of the types and
ids of all rows, page by page, on a line of its own.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from klaviyo_api import KlaviyoAPI


def read(method: Any, arguments: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    cursor: str | None = ""
    while cursor is not None:
        document = method(**arguments)
        data = document.data if isinstance(document.data, list) else [document.data]
        rows += [(str(getattr(row.type, "value", row.type)), row.id) for row in data]
        following = getattr(document.links, "next", None)
        cursor = parse_qs(urlsplit(following).query)["page[cursor]"][0] if following else None
        arguments["page_cursor"] = cursor
    return rows


if __name__ == "__main__":
    sdk = KlaviyoAPI("pk_sandbox", max_retries=1, test_host=sys.argv[1])
    sections = [getattr(sdk, name) for name, value in vars(KlaviyoAPI).items() if isinstance(value, property)]
    for operation, arguments in json.load(sys.stdin):
        method = next(getattr(each, operation) for each in sections if hasattr(each, operation))
        sys.stdout.write(json.dumps(read(method, arguments)) + "\n")
