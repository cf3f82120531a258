"""Tools of the project: what is run by its developers and is no part of the package."""
