"""The four searches."""
