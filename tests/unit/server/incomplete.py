"""Needs a module that is not there."""

import importlib

app = importlib.import_module("absent").app
