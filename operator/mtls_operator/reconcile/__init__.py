"""Observe, decide, act: the level-triggered core, free of any Kubernetes client."""
