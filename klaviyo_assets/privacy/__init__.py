"""Blocked, hashed and packed columns: what of a table is written, and how."""
