"""Mixtures of faults end in one of two ways, and the next healthy run makes the warehouse equal the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from klaviyo_assets.sandbox.fault_plans import KINDS
from klaviyo_assets_tests.faults.mixtures import mix

IN_TEST, IN_SOAK = 2, 500


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the warehouse; spools go to another one."""
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 0)  # these sandboxes have no limits
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path


@pytest.mark.parametrize("seed", range(IN_TEST))
def test_a_mixture(seed: int, template: Path, folder: Path) -> None:
    mix(seed, template if seed % 5 else None, folder)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(IN_TEST, IN_SOAK))
def test_a_mixture_in_soak(seed: int, template: Path, folder: Path) -> None:
    mix(seed, template if seed % 5 else None, folder)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_fault_alone_in_soak(kind: str, seed: int, template: Path, folder: Path) -> None:
    mix(seed, template, folder, kinds=[kind])
