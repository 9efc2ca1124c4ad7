"""What a read yields, on its way to temporary files."""

from __future__ import annotations

from pathlib import Path

import pytest

from klaviyo_assets.assets import spooling
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.tables.templates import EMAIL_TEMPLATE
from klaviyo_assets.warehouse.spool import Spool, SpoolWriter


def test_long_texts_do_not_wait_until_they_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 templates of 110 KB are more than Arrow takes in one column, and than many machines have memory for."""
    monkeypatch.setattr(spooling, "MOST_HELD", 10_000)
    writer = SpoolWriter(EMAIL_TEMPLATE, Spool(tmp_path))
    texts = ["x" * 4_000] * 7 + ["", None] * 10
    pages = [{"email_template": Columns(1, {"id": [str(n)], "html": [text]})} for n, text in enumerate(texts)]
    spooling.fill({"email_template": writer}, pages)
    assert [file.rows for file in writer.spool.files] == [3, 3, 21]
