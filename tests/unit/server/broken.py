"""Fails to import."""

app = 1 / 0
