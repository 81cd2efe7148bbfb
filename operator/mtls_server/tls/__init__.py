"""TLS on the connection's own descriptor, driven by its readiness: handshake, transport, close."""
