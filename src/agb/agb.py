"""Door to the client: the import path of 0.12."""

from ._sync.client import AGB as AGB
