"""Benchmarks: speed and size, side by side with httpx and agbcloud-sdk; run by ``python -m benchmarks``."""
