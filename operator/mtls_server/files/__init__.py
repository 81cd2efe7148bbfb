"""The mounted files: followed, read, checked, and made into what serves."""
