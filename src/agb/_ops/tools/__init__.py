"""Tools: one module per group of in-session tools. No I/O."""
