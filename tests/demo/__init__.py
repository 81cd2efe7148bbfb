"""The demonstration: everything from an empty machine to a rotation under traffic, told as it happens."""
