"""A warehouse on a ClickHouse server."""
