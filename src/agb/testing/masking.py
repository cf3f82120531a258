"""Masking of what is recorded: the rules are those of errors and logs (`agb._wire.secrets`)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from .._ops.contexts import get_context_file_download_url, get_context_file_upload_url
from .._wire.secrets import MASK, masked, without_secrets

_SIGNING = tuple(make("", "").path for make in (get_context_file_download_url, get_context_file_upload_url))


class Mask:
    """Hides secrets in what is recorded.

    A pre-signed URL is the address of a file as well as a secret. So that two of them stay different, the secret part
    of each is replaced by a name of its own.
    """

    def __init__(self) -> None:
        self._signed: dict[str, str] = {}

    def learn(self, path: str, body: bytes) -> None:
        """Remember the pre-signed URL in the answer to a request for one."""
        if not path.endswith(_SIGNING):
            return
        try:
            url = json.loads(body)["data"]["url"]
            parts = urlsplit(url)
        except (ValueError, LookupError, TypeError):  # a refusal
            return
        secret = parts.query or parts.path.rpartition("/")[2]
        self._signed.setdefault(secret, f"signed-{len(self._signed) + 1}")

    def hide_url(self, target: str) -> str:
        """Return the path and query of a request without the secret of a pre-signed URL."""
        for secret, name in self._signed.items():
            target = target.replace(secret, name)
        return target

    def hide(self, value: Any, name: str = "") -> Any:
        """Return a value of JSON without secrets: by their names, and in texts, which may contain JSON."""
        if isinstance(value, dict):
            return {key: self.hide(item, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.hide(item, name) for item in value]
        if not isinstance(value, str) or not value:
            return value
        if name and not name.startswith("next"):  # the token of a page is none
            value = masked({name: value})[name]
        if value == MASK:
            return MASK
        if value.startswith(("{", "[")):
            try:
                return json.dumps(self.hide(json.loads(value)), ensure_ascii=False)
            except ValueError:  # it is no JSON
                pass
        return without_secrets(self.hide_url(value))
