"""Dockerfiles as Harbor's environment reads them: what is carried out, how it is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("harbor", exc_type=ImportError)

from agb.integrations.harbor.dockerfile import Copy, MakeDirectory, Plan, Run, UnsupportedDockerfile, read

from .harbor_tasks import write


def plan_of(directory: Path, text: str) -> Plan:
    (directory / "Dockerfile").write_text(text)
    return read(directory / "Dockerfile", {"PATH": "/bin", "HOME": "/home/user"})


def test_steps_have_the_state_of_their_place(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """# syntax=docker/dockerfile:1
ARG VERSION=12
FROM --platform=linux/amd64 debian:${VERSION}-slim AS base
LABEL a=b
ENV A=1
WORKDIR /srv
run echo $A "#no comment" \\
  # a comment

  && echo end
ENV A=2
WORKDIR sub/../deep
USER agent:staff
RUN ["printf", "%s", "a b"]
CMD ["sleep"]
EXPOSE 80
""",
    )
    assert plan.image == "debian:12-slim"
    assert plan.steps == [
        MakeDirectory(6, "/srv"),
        Run(7, 'echo $A "#no comment"   && echo end', "/srv", {"A": "1"}, None),
        MakeDirectory(12, "/srv/deep"),
        Run(14, ["printf", "%s", "a b"], "/srv/deep", {"A": "2"}, "agent"),
    ]
    assert (plan.env, plan.cwd, plan.user) == ({"A": "2"}, "/srv/deep", "agent")
    assert plan.directories == ["/srv", "/srv/deep"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ENV A=b", "b"),
        ('ENV A="b c" OTHER=d', "b c"),
        ("ENV A=b\\ c", "b c"),
        ("ENV A 'b' c", "b c"),
        ("ENV A=$HOME/x", "/home/user/x"),
        ('ENV A="${HOME}"', "/home/user"),
        ("ENV A='$HOME'", "$HOME"),
        ("ENV A=\\$HOME", "$HOME"),
        ("ENV A=${NONE:-d}${HOME:-e}", "d/home/user"),
        ("ENV A=${NONE:+d}${HOME:+e}", "e"),
        ("ARG X=1\nENV A=$X", "1"),
        ("ARG G\nENV A=$G", "global"),
        ("ENV X=1\nENV X=2 A=$X", "1"),
        ("ENV A=/a:$PATH\nENV A=/b:$A", "/b:/a:/bin"),
    ],
)
def test_variables(tmp_path: Path, line: str, value: str) -> None:
    plan = plan_of(tmp_path, f"ARG G=global\nFROM a\n{line}\n")
    assert plan.env["A"] == value


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("RUN <<EOF\necho a\n  echo b\nEOF\nRUN x", "echo a\n  echo b"),
        ("RUN <<-EOF\n\techo a\n\tEOF\nRUN x", "echo a"),
        ('RUN cat <<"A" <<B >f\na\nA\nb\nB\nRUN x', 'cat <<"A" <<B >f\na\nA\nb\nB'),
        ("RUN ech\\\no a\nRUN x", "echo a"),
        ("RUN [ -d /x ] || true\nRUN x", "[ -d /x ] || true"),
    ],
)
def test_commands(tmp_path: Path, text: str, command: str) -> None:
    steps = plan_of(tmp_path, f"FROM a\n{text}\n").steps
    assert [step.command for step in steps if isinstance(step, Run)] == [command, "x"]


def test_copies(tmp_path: Path) -> None:
    files = {"a.txt": "", "b.txt": "", "d/x": "", ".hidden": ""}
    write(tmp_path, files)
    text = """FROM a
WORKDIR /w
COPY a.txt new.txt
COPY a.txt .
COPY --chmod=755 *.txt /bin/
COPY --chown=root:root ["d", "dest"]
ADD . /all
"""
    steps = [step for step in plan_of(tmp_path, text).steps if isinstance(step, Copy)]
    a, b = (tmp_path / "a.txt", "a.txt"), (tmp_path / "b.txt", "b.txt")
    assert steps == [
        Copy(3, [a], "/w/new.txt", False, None),
        Copy(4, [a], "/w", True, None),
        Copy(5, [a, b], "/bin", True, 0o755),
        Copy(6, [(tmp_path / "d", ".")], "/w/dest", True, None),
        Copy(7, [(tmp_path, ".")], "/all", True, None),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("FROM b", "line 2: FROM begins a second stage"),
        ("ENTRYPOINT x", "ENTRYPOINT has no counterpart in a session"),
        ('SHELL ["bash"]', "SHELL has no counterpart"),
        ("RUN --mount=type=cache,target=/c x", "RUN --mount has no counterpart"),
        ("COPY --from=b /x /y", "COPY --from has no counterpart"),
        ("COPY --chown=agent a.txt /", "files of a session belong to its user"),
        ("COPY --chmod=u+x a.txt /", "takes an octal number"),
        ("COPY nothing /", "nothing: there is no such file"),
        ("COPY ../../etc/passwd /", "no such file"),
        ("COPY outside /", "leads out of the directory"),
        ("COPY d /", "is a directory, and .dockerignore is not evaluated"),
        ("COPY a.txt", "needs files of the task and a place"),
        ("COPY <<EOF /x\ntext\nEOF", "needs files of the task and a place"),
        ("ADD https://example.com/x /", "only files of the task"),
        ("ADD a.tar.gz /", "archives are not unpacked"),
        ("ENV A='b", "has an open quotation"),
        ("ENV A=b c", "'c' is no NAME=VALUE"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_line(tmp_path: Path, line: str, reason: str) -> None:
    write(tmp_path, {"a.txt": "", "a.tar.gz": "", "d/x": "", ".dockerignore": "x"})
    (tmp_path / "outside").symlink_to("/etc")
    with pytest.raises(UnsupportedDockerfile, match="Dockerfile, line 2: ") as caught:
        plan_of(tmp_path, f"FROM a\n{line}\n")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "has no FROM"), ("RUN x\nFROM a", "RUN is before FROM"), ("FROM $NONE", "names no image")],
)
def test_dockerfiles_without_an_image(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UnsupportedDockerfile, match=reason):
        plan_of(tmp_path, text)
