"""agbcloud-sdk 0.12.0 drives the local runtime (see README.md)."""
