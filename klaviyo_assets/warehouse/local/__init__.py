"""DuckDB in memory: it reads what is spooled, converts it, and keeps one row per key, whatever the database is."""
