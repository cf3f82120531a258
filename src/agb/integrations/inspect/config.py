"""The options of a task or a sample: what sessions are created from, and limits of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...context_sync import ContextSync
from ...limits import Limits
from ...session_params import CreateSessionParams

CONFIG_FILES = ["agb.yaml", "agb.yml"]
"""The names of files beside a task whose options are used if it has none."""


class SessionOptions(BaseModel, frozen=True):
    """What one session of a sample is created from.

    Args:
        image_id: the image.
        policy_id: a policy of the account, if any.
        labels: labels of the session, beside those by which it is found again.
        contexts: persistent contexts to mount: a path in the session to the id of a context.
        idle_release_timeout: seconds without activity after which the service releases the session. A model that
            thinks for longer than that loses it; an evaluation that is killed leaves it for so long.
        cwd: the working directory, which is created if it is missing; without it the session's home.
        create_timeout: seconds that the creation may take, the wait for the client's limits included.
    """

    model_config = ConfigDict(extra="forbid")

    image_id: str = "agb-code-space-1"
    policy_id: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    contexts: dict[str, str] = Field(default_factory=dict)
    idle_release_timeout: int = Field(default=3600, ge=1)
    cwd: str | None = None
    create_timeout: float = Field(default=600, gt=0)

    def __hash__(self) -> int:  # Inspect keeps configurations in sets, and a dict has no hash
        return hash(self.model_dump_json())

    @property
    def params(self) -> CreateSessionParams:
        """The parameters of `create`."""
        return CreateSessionParams(
            labels=self.labels,
            image_id=self.image_id,
            policy_id=self.policy_id,
            context_syncs=[ContextSync(context_id, path) for path, context_id in self.contexts.items()],
            idle_release_timeout=self.idle_release_timeout,
        )


class AGBSandboxConfig(SessionOptions, frozen=True):
    """The options of a task or a sample: those of its session, of further sessions, and limits of all of them.

    Args:
        sandboxes: further sessions of each sample, by the name by which ``sandbox(name)`` finds them.
        creates_per_second: how many sessions are created per second at most. In any case creations slow down when the
            service asks for it.
        max_sessions: how many sessions may be alive at a time; further samples wait. At least those of one sample.

    Example:
        >>> from agb.integrations.inspect import AGBSandboxConfig
        >>> AGBSandboxConfig(image_id="agb-code-space-1", max_sessions=20).max_sessions
        20
    """

    sandboxes: dict[str, SessionOptions] = Field(default_factory=dict)
    creates_per_second: float | None = Field(default=None, gt=0)
    max_sessions: int | None = Field(default=None, ge=1)

    __hash__ = SessionOptions.__hash__

    @model_validator(mode="after")
    def _a_sample_fits(self) -> Self:
        if self.max_sessions is not None and self.max_sessions < len(self.all):
            raise ValueError(f"max_sessions is less than the {len(self.all)} sessions of a sample")
        return self

    @property
    def limits(self) -> Limits:
        """The limits of the client."""
        return Limits(creates_per_second=self.creates_per_second, sessions=self.max_sessions)

    @property
    def all(self) -> dict[str, SessionOptions]:
        """The options of all sessions of a sample by name; the default one is the first."""
        return {"default": self, **self.sandboxes}


def read_config(config: BaseModel | str | None) -> AGBSandboxConfig:
    """Return the options that Inspect passes on: an object, the path of a YAML file, or none.

    Raises:
        TypeError: the object is of another class.
        ValueError: the file does not hold options, or a value of it cannot be used.
        OSError: the file cannot be read.
    """
    if config is None:
        return AGBSandboxConfig()
    if isinstance(config, AGBSandboxConfig):
        return config
    if not isinstance(config, str):
        raise TypeError(f"the configuration of the sandbox 'agb' is an AGBSandboxConfig, not {type(config).__name__}")
    if (known := options_in_use.get(file_key(config))) is not None:
        return known
    values = yaml.safe_load(Path(config).read_text("utf-8"))
    if values is not None and not isinstance(values, dict):
        raise ValueError(f"{config} holds options by name, such as 'image_id: agb-code-space-1'")
    return AGBSandboxConfig(**(values or {}))


options_in_use: dict[str, AGBSandboxConfig] = {}
"""The options of files by path, while tasks with them run: a file may change, or be gone, until the clean-up."""


def file_key(config: str) -> str:
    """Return the key of a file in `options_in_use`."""
    return str(Path(config).resolve())
