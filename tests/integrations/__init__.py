"""Tests of the adapters for frameworks, with the frameworks themselves."""
