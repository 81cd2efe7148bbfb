"""Decide the next steps for one service: pure functions of the world."""
