"""Histories of syncs, simulated: one thread, a virtual clock, no sockets, no Dagster; each is told by its seed."""
