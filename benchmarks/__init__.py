"""How fast, how heavy: measured runs against a simulated account. `make bench`."""
