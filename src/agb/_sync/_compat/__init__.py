"""The names that differ between the flavours, by subject; ``_async/_compat`` has the same names."""
