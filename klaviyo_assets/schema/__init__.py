"""The ground: what a destination table looks like, its values before they have types, and what could not be kept."""
