# Generated from src/agb/_async/modules/__init__.py by tools/unasync.py. Do not edit.
"""What a session offers: code, commands, processes, files, its contexts."""
