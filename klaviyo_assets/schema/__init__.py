"""The ground: what a table looks like, its values before they have types, and what could not be kept."""
