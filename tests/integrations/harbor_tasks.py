"""Tasks of Harbor, and environments for them."""

# pyright: reportMissingImports=false
from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from harbor.models.task.config import EnvironmentConfig
from harbor.models.trial.paths import TrialPaths

from agb.integrations.harbor import AGBEnvironment

IMAGE = "agb-code-space-1"
TASK = """
schema_version = "1.4"
[verifier]
timeout_sec = 120.0
[agent]
timeout_sec = 120.0
[environment]
build_timeout_sec = 120.0
"""
DOCKERFILE = """
FROM python:3.13-slim
ENV GREETING="Hello, world!" PATH=/app/bin:$PATH
WORKDIR /app
COPY data/ data/
COPY tool.sh bin/tool
RUN chmod +x bin/tool \\
    # for what comes later
    && echo built > built.txt
"""
SOLUTION = """
#!/bin/bash
set -e
echo "$GREETING" > hello.txt
tool run >> hello.txt
cat data/answer.txt built.txt >> hello.txt
"""
CHECK = """
#!/bin/bash
wanted=$(printf 'Hello, world!\\ntool run\\n42\\nbuilt')
if [ "$(cat /app/hello.txt)" = "$wanted" ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt
"""


def write(directory: Path, files: dict[str, str]) -> Path:
    """Write files below a directory, and return it."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    return directory


def hello(directory: Path) -> Path:
    """Write a task whose solution needs what each instruction of its Dockerfile has made."""
    return write(
        directory / "hello",
        {
            "task.toml": TASK,
            "instruction.md": "Write the greeting.",
            "environment/Dockerfile": DOCKERFILE,
            "environment/data/answer.txt": "42\n",
            "environment/tool.sh": '#!/bin/sh\necho tool "$@"\n',
            "solution/solve.sh": SOLUTION,
            "tests/test.sh": CHECK,
        },
    )


def environment(directory: Path, files: dict[str, str] | None = None, **options: Any) -> AGBEnvironment:
    """Return an environment that is not started; its definition is in ``files``, by default an empty Dockerfile."""
    definition = {"Dockerfile": "FROM debian:12\n"} if files is None else files
    config = options.pop("config", {})
    trial = TrialPaths(directory / "jobs" / "nightly" / "trial")
    trial.mkdir()
    (directory / "environment").mkdir(exist_ok=True)
    return AGBEnvironment(
        environment_dir=write(directory / "environment", definition),
        environment_name="hello",
        session_id="hello__abc__env",
        trial_paths=trial,
        task_env_config=EnvironmentConfig(**config),
        **{"image_id": IMAGE, **options},
    )
