"""Session references: what is needed to find a session again, and nothing secret."""

from __future__ import annotations

import json

from attrs import asdict, frozen


@frozen
class SessionRef:
    """The address of a session: its id and the endpoint it lives at, never the API key.

    A reference can be pickled, written as JSON, and turned into a session by ``client.attach(ref)`` wherever a client
    for the same endpoint is.

    Example:
        >>> from agb import SessionRef
        >>> ref = SessionRef("s-1", "https://sdk-api.agb.cloud")
        >>> SessionRef.from_json(ref.to_json()) == ref
        True
    """

    session_id: str
    endpoint: str

    def to_json(self) -> str:
        """Return the reference as a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> SessionRef:
        """Return the reference that a JSON object holds; raise ``ValueError`` if it holds none."""
        try:
            value = json.loads(text)
            ref = cls(session_id=value["session_id"], endpoint=value["endpoint"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError('a session reference is a JSON object with "session_id" and "endpoint"') from None
        if not (isinstance(ref.session_id, str) and isinstance(ref.endpoint, str) and ref.session_id):
            raise ValueError("session_id and endpoint of a session reference are strings that are not empty")
        return ref
