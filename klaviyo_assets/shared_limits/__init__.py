"""Counts the requests of all processes that read an account, on a server that they share."""
