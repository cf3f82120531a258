# Generated from src/agb/_async/lifecycle/__init__.py by tools/unasync.py. Do not edit.
"""Sessions are created, limited, found again, pooled and deleted."""
