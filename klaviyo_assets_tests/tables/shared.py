"""What the tests of the tables share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Settings of property tests: a busy machine is no failure."""
