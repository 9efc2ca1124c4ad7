"""Taking over a schema that another connector has filled: what is different there, and how much of it is kept."""
