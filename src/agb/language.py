"""The names of the languages that code can be in."""

from __future__ import annotations

from typing import Literal

Language = Literal["python", "py", "python3", "javascript", "js", "node", "nodejs", "java", "r"]
"""The language of code; the names after the first of a language are other spellings of it, and case does not count."""
