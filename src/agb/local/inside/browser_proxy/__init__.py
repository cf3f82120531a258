"""A proxy on the session's loopback that passes a browser's traffic to another proxy, and adds a user name."""
