"""Pure builders of the objects that an MTLSService asks for."""
