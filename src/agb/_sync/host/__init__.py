# Generated from src/agb/_async/host/__init__.py by tools/unasync.py. Do not edit.
"""Files of this machine: archives, local files, progress."""
