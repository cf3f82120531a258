"""A model for smolagents that says what it was given."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

from smolagents import ChatMessage, Model
from smolagents.models import MessageRole


class ScriptedModel(Model):
    """Answers each request with the next piece of code; ``seen`` has the text of all requests."""

    def __init__(self, *steps: str) -> None:
        super().__init__(model_id="scripted")
        self.steps = list(steps)
        self.seen: list[str] = []

    def generate(self, messages: list[ChatMessage], **_: Any) -> ChatMessage:
        self.seen.append(str(messages))
        code = self.steps.pop(0)
        return ChatMessage(role=MessageRole.ASSISTANT, content=f"Thought: next.\n<code>\n{code}\n</code>")
