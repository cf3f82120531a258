"""Kernels: interpreters that keep their state from one piece of code to the next."""
