"""What stands behind mutual TLS."""
