"""One of the two flavours of the client: ``_async`` is written by hand, ``_sync`` is generated from it."""
