"""The warehouse in DuckDB: a file of this machine, or MotherDuck."""
