"""The only room that knows kopf: it turns events into keys."""
