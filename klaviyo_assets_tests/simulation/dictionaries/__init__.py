"""A warehouse of dictionaries: what the SQL does, said again in Python."""
