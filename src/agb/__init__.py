"""AGB: an async-first SDK for cloud sandboxes, with a synchronous twin and a local runtime."""
