"""The operator: it issues, rotates and reconciles everything an MTLSService asks for."""
