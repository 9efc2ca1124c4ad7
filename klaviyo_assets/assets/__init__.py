"""The assets: they join the API, the tables and the warehouse."""
