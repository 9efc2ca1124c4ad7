"""What can go wrong with a warehouse, in words that say what to do."""

from __future__ import annotations


class WarehouseError(Exception):
    """Base of the errors below. The destination is as it was before."""


class WarehouseLocked(WarehouseError):
    """Another process holds the database file and did not let go in time."""


class SnapshotMissing(WarehouseError):
    """There is no complete snapshot to publish."""


class SuspiciousSnapshot(WarehouseError):
    """Publishing would flag a suspicious share of the table as deleted."""
