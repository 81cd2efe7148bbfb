"""Authorities and leaf certificates: pure functions over `cryptography`."""
