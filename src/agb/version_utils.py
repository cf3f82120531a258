"""Version, by its import path of 0.12."""

from ._version import __version__

IS_RELEASE_VERSION = "dev" not in __version__
"""Whether this is a release."""


def get_sdk_version() -> str:
    """Return the version of this package."""
    return __version__


def is_release_version() -> bool:
    """Return whether this is a release."""
    return IS_RELEASE_VERSION
