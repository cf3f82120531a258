"""The names that differ between the flavours, by subject; ``_sync/_compat`` has the same names."""
