"""Klaviyo's SDK of revision 2026-10-15 reads everything that the sandbox serves, beside the one of the revision before.

Both cannot be in one environment: `KLAVIYO_TEST_SDK` names a folder with the later one, else it is made.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.sandbox import Sandbox
from klaviyo_assets.sandbox.account.omnichannel import omnichannel
from klaviyo_assets.sandbox.api.operations import OMNICHANNEL, OPERATIONS
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.sandbox.test_official_sdk import FILTERS, NOW, options, owners, stored
from klaviyo_assets_tests.warehouse.emulated import environment

SCRIPT = Path(__file__).with_name("latest_sdk.py")
GETS = [each for each in (OPERATIONS | OMNICHANNEL).values() if each.method == "GET"]
"""Campaigns as the later revision has them."""

FILTERS_NOW = {"get_campaigns": ["equals(archived,false)", "equals(archived,true)"]}


@pytest.mark.emulators
def test_latest_sdk_reads_everything() -> None:
    python = environment("sdk", ("klaviyo-api==25.0.0",), "KLAVIYO_TEST_SDK")
    account = generate_account(events=300, profiles=60, days=30, now=NOW)
    account.advanced_kdp = True
    campaigns = omnichannel(account)
    asked: list[tuple[str, dict[str, Any]]] = []
    expected: list[Any] = []
    for operation in GETS:
        holder = campaigns if operation.omnichannel else account
        # In the SDK's model no variations come with messages, on Klaviyo's pages they do.
        query = options(operation) | ({"include": ["campaign"]} if operation.id == "get_campaign_messages" else {})
        if "{id}" in operation.path:
            ids = owners(holder, operation)
            assert ids, operation.id
            asked += [(operation.id, {"id": id, **query}) for id in ids[:10]]
            expected += [[[operation.type, id]] if operation.by_id else operation.type for id in ids[:10]]
            continue
        filters = (FILTERS_NOW if operation.omnichannel else FILTERS).get(operation.id, [None])
        asked += [(operation.id, {**query, **({"filter": each} if each else {})}) for each in filters]
        expected += [None] * (len(filters) - 1) + [
            Counter((operation.type, id) for id in stored(holder, operation.type))
        ]
    with Sandbox(account) as sandbox:
        host = sandbox.url.removesuffix("/api")
        done = subprocess.run(
            [str(python), "-I", str(SCRIPT), host],
            input=json.dumps(asked), capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        revisions = {request.path: request.status for request in sandbox.requests}
    assert set(revisions.values()) == {200}
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(asked)
    found: Counter[tuple[str, str]] = Counter()
    for (operation_id, _), rows, wanted in zip(asked, answers, expected, strict=True):
        if isinstance(wanted, str):
            assert {type for type, _ in rows} <= {wanted}, operation_id
        elif isinstance(wanted, list):
            assert rows == wanted, operation_id
        else:
            found.update(map(tuple, rows))
            if wanted is not None:
                assert found == wanted, operation_id
                found.clear()
