"""URLs of requests: those of the API, and pre-signed ones, which are secrets themselves."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any


@lru_cache(maxsize=1024)
def api_url(library: Any, text: str) -> Any:
    """Return a parsed URL of the API; sessions ask for the same ones again and again."""
    return library.URL(text)


@cache
def masked_url_class(library: Any) -> Any:
    """Return the library's class of URLs, with a text that shows neither path nor query.

    httpx logs the text of each request's URL. Code that takes the URL apart, such as a mock, sees all of it.
    """

    class MaskedURL(library.URL):  # type: ignore[misc]
        """A URL whose path and query are secrets."""

        def __str__(self) -> str:
            return f"{self.scheme}://{self.netloc.decode('ascii')}/****"

        def __repr__(self) -> str:
            return f"URL({str(self)!r})"

    return MaskedURL
