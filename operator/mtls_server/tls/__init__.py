"""TLS on the connection's own descriptor: handshake, transport and close, driven by the event loop's readiness."""
