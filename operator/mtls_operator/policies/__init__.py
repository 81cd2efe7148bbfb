"""Ordered chains of pure checks that say why something must be done."""
