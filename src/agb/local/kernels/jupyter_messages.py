"""Messages of the Jupyter protocol (https://jupyter-client.readthedocs.io/en/stable/messaging.html), made and read."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

_DELIMITER = b"<IDS|MSG>"
_PARTS = ("header", "parent_header", "metadata", "content")


class JupyterMessages:
    """Makes requests to one kernel and reads its messages; ``key``, an ASCII text, signs both."""

    def __init__(self, key: str) -> None:
        self.key = key.encode("ascii")
        self._session = secrets.token_hex(8)

    def request(self, kind: str, content: dict[str, Any]) -> tuple[str, list[bytes]]:
        """Return the id of a new request, and its parts."""
        request_id = secrets.token_hex(16)
        header = {
            "msg_id": request_id,
            "msg_type": kind,
            "session": self._session,
            "username": "user",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.3",
        }
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        return request_id, [_DELIMITER, self._signature(parts), *parts]

    def read(self, parts: Sequence[bytes]) -> dict[str, Any]:
        """Return a message; raises ``ValueError`` or ``RecursionError`` for one that is not valid."""
        begin = parts.index(_DELIMITER) + 1 if _DELIMITER in parts else len(parts)
        signature, own = b"".join(parts[begin : begin + 1]), parts[begin + 1 : begin + 1 + len(_PARTS)]
        if len(own) < len(_PARTS) or not hmac.compare_digest(signature, self._signature(own)):
            raise ValueError("a message has no valid signature")
        message = {name: json.loads(part) for name, part in zip(_PARTS, own, strict=True)}
        if not all(isinstance(part, dict) for part in message.values()):
            raise ValueError("a part of a message is not an object")
        return message

    def _signature(self, parts: Sequence[bytes]) -> bytes:
        return hmac.digest(self.key, b"".join(parts), "sha256").hex().encode()
