"""Dockerfiles: which of their instructions can be carried out in a session, and how.

A session is made from an image of AGB, not from a Docker image. So the instructions after ``FROM`` are carried out in
the running session, in their order. What has no counterpart there is refused by its line, before a session is created.
"""

from __future__ import annotations

import glob
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import define, evolve, field, frozen

IGNORED: Final = frozenset({"CMD", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "STOPSIGNAL", "VOLUME"})
"""Instructions without an effect on the programs that Harbor runs."""
_ARCHIVES: Final = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
_HEREDOC: Final = re.compile(r"""<<(-?)(["']?)([A-Za-z_]\w*)\2""")
_VARIABLE: Final = re.compile(r"\{(?P<name>\w+)(?:(?P<sign>:[-+])(?P<word>[^}]*))?\}|(?P<plain>[A-Za-z_]\w*)")


class UnsupportedDockerfile(ValueError):
    """A Dockerfile has an instruction that cannot be carried out in a session; the message names its line."""


@frozen
class Run:
    """A command of ``RUN``: text for the shell, or a list of arguments."""

    line: int
    command: str | Sequence[str]
    cwd: str
    env: Mapping[str, str]
    user: str | None


@frozen
class Copy:
    """Files of the task for a place in the session.

    Attributes:
        line: the line of the instruction.
        files: pairs of a local path and its name in the session; a directory named "." stands for its contents.
        place: where they go.
        into: whether ``place`` is a directory; otherwise it is one if it exists as one, else the name of the file.
        mode: their permissions, if the instruction sets them.
    """

    line: int
    files: Sequence[tuple[Path, str]]
    place: str
    into: bool
    mode: int | None


@frozen
class MakeDirectory:
    """A directory of ``WORKDIR``, which is made if it is missing."""

    line: int
    path: str


Step = Run | Copy | MakeDirectory


@frozen
class Plan:
    """What a Dockerfile asks for.

    Attributes:
        image: the Docker image of ``FROM``.
        steps: what is carried out in the session, in order.
        env: the environment of all programs.
        cwd: the directory of programs; None without ``WORKDIR``.
        user: the user of programs; None without ``USER``.
    """

    image: str
    steps: Sequence[Step] = ()
    env: Mapping[str, str] = field(factory=dict)
    cwd: str | None = None
    user: str | None = None

    @property
    def directories(self) -> list[str]:
        """The directories that ``WORKDIR`` and ``COPY`` name."""
        named = [step.path for step in self.steps if isinstance(step, MakeDirectory)]
        copies = (step for step in self.steps if isinstance(step, Copy))
        named += [copy.place if copy.into else posixpath.dirname(copy.place) for copy in copies]
        return list(dict.fromkeys(named))


def read(dockerfile: Path, env: Mapping[str, str] | None = None) -> Plan:
    """Return what a Dockerfile asks for; its directory holds the files of ``COPY``.

    Args:
        dockerfile: the file.
        env: the environment that the session has without it, to which ``$PATH`` and the like refer.

    Raises:
        UnsupportedDockerfile: an instruction cannot be carried out in a session.
    """
    reader = _Reader(dockerfile.parent, dict(env or {}))
    for line, name, value in _instructions(dockerfile.read_text(encoding="utf-8")):
        try:
            reader.take(line, name, value)
        except UnsupportedDockerfile as error:
            raise UnsupportedDockerfile(f"{dockerfile.name}, line {line}: {name} {error}") from None
    if reader.plan is None:
        raise UnsupportedDockerfile(f"{dockerfile.name} has no FROM")
    return evolve(reader.plan, steps=reader.steps, env=reader.env)


@define
class _Reader:
    context: Path
    outside: dict[str, str]
    plan: Plan | None = None
    steps: list[Step] = field(factory=list)
    env: dict[str, str] = field(factory=dict)
    global_args: dict[str, str] = field(factory=dict)
    args: dict[str, str] = field(factory=dict)

    def take(self, line: int, name: str, value: str) -> None:
        if name == "FROM":
            self._from(value)
        elif name == "ARG":
            self._arg(value)
        elif self.plan is None:
            raise UnsupportedDockerfile("is before FROM")
        elif name == "ENV":
            self.env |= dict(_pairs(value, self._scope))
        elif name == "WORKDIR":
            self._workdir(line, self.plan, value)
        elif name == "USER":
            self.plan = evolve(self.plan, user=_expand(value, self._scope).partition(":")[0] or None)
        elif name == "RUN":
            self._run(line, self.plan, value)
        elif name in ("COPY", "ADD"):
            self._copy(line, self.plan, name, value)
        elif name not in IGNORED:
            raise UnsupportedDockerfile("has no counterpart in a session")

    @property
    def _scope(self) -> dict[str, str]:
        """The variables to which an instruction refers; those of ``ENV`` go before those of ``ARG``."""
        return {**self.outside, **self.args, **self.env}

    def _from(self, value: str) -> None:
        if self.plan is not None:
            raise UnsupportedDockerfile("begins a second stage; only a Dockerfile with one stage can be carried out")
        flags, rest = _flags(value)
        if flags and not flags.get("platform", "").endswith("amd64"):
            raise UnsupportedDockerfile(f"{value}: has a flag that has no counterpart in a session")
        image = _expand(rest.split()[0], self.global_args) if rest else ""
        if not image:
            raise UnsupportedDockerfile("names no image")
        self.plan = Plan(image)

    def _arg(self, value: str) -> None:
        target, scope = (self.global_args, self.global_args) if self.plan is None else (self.args, self._scope)
        for word in _words(value, scope):
            name, has_default, default = word.partition("=")
            if has_default:
                target[name] = default
            elif name in self.global_args:
                target[name] = self.global_args[name]

    def _workdir(self, line: int, plan: Plan, value: str) -> None:
        path = posixpath.normpath(posixpath.join(plan.cwd or "/", _expand(value.strip("\"'"), self._scope)))
        self.plan = evolve(plan, cwd=path)
        self.steps.append(MakeDirectory(line, path))

    def _run(self, line: int, plan: Plan, value: str) -> None:
        flags, command = _flags(value)
        if flags:
            raise UnsupportedDockerfile(f"--{min(flags)} has no counterpart in a session")
        words = _json_list(command)
        env = {**self.args, **self.env}
        self.steps.append(Run(line, _script(command) if words is None else words, plan.cwd or "/", env, plan.user))

    def _copy(self, line: int, plan: Plan, name: str, value: str) -> None:
        flags, rest = _flags(value)
        if unknown := flags.keys() - {"chown", "chmod", "link"}:
            raise UnsupportedDockerfile(f"--{min(unknown)} has no counterpart in a session")
        if flags.get("chown", "root").partition(":")[0] not in ("root", "0"):
            raise UnsupportedDockerfile("--chown: files of a session belong to its user")
        if not re.fullmatch("[0-7]*", mode := flags.get("chmod", "")):
            raise UnsupportedDockerfile("--chmod takes an octal number here")
        words = _json_list(rest) or list(_words(rest, self._scope))
        if len(words) < 2 or _HEREDOC.search(rest):
            raise UnsupportedDockerfile("needs files of the task and a place for them")
        *sources, place = words
        files = [file for source in sources for file in self._files(name, source)]
        into = place.endswith(("/", "/.")) or place == "." or len(files) > 1 or files[0][1] == "."
        path = posixpath.normpath(posixpath.join(plan.cwd or "/", place))
        self.steps.append(Copy(line, files, path, into, int(mode, 8) if mode else None))

    def _files(self, name: str, source: str) -> list[tuple[Path, str]]:
        """Return the files that a source of ``COPY`` names; a directory stands for its contents and is named "."."""
        if re.match("[a-z+]+://|git@", source):
            raise UnsupportedDockerfile(f"{source}: only files of the task can be copied")
        if name == "ADD" and source.endswith(_ARCHIVES):
            raise UnsupportedDockerfile(f"{source}: archives are not unpacked; use RUN tar")
        pattern = posixpath.normpath("/" + source).lstrip("/") or "."
        found = (
            [self.context] if pattern == "." else [self.context / one for one in sorted(_glob(pattern, self.context))]
        )
        if not found:
            raise UnsupportedDockerfile(f"{source}: there is no such file beside the Dockerfile")
        for path in found:
            if not path.resolve().is_relative_to(self.context.resolve()):
                raise UnsupportedDockerfile(f"{source}: leads out of the directory of the Dockerfile")
        if (self.context / ".dockerignore").exists() and any(path.is_dir() for path in found):
            raise UnsupportedDockerfile(f"{source}: is a directory, and .dockerignore is not evaluated")
        return [(path, "." if path.is_dir() else path.name) for path in found]


# --- the text of a Dockerfile ----------------------------------------------------------------------------------------


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the number of the first line, the name and the value of each instruction.

    Lines that end with a backslash are continued; comments and, for Docker, empty lines between them do not count. The
    lines of here-documents belong to the instruction that names them.
    """
    lines = text.splitlines()
    if any(re.fullmatch(r"#\s*escape\s*=\s*`\s*", line) for line in lines[:5]):
        raise UnsupportedDockerfile("the escape character ` is not supported")
    at = 0
    while at < len(lines):
        number, value = at + 1, ""
        continued = True
        while continued and at < len(lines):
            line = lines[at]
            at += 1
            if line.lstrip().startswith("#") or (value and not line.strip()):
                continue
            continued = line.rstrip().endswith("\\")
            value += line.rstrip()[:-1] if continued else line
        if not (value := value.strip()):
            continue
        name, _, rest = value.partition(" ")
        if name.upper() in ("RUN", "COPY", "ADD"):
            for dash, _, end in _HEREDOC.findall(rest):
                while at < len(lines):
                    rest += "\n" + lines[at]
                    at += 1
                    if (lines[at - 1].lstrip("\t") if dash else lines[at - 1]) == end:
                        break
        yield number, name.upper(), rest.strip()


def _script(command: str) -> str:
    """Return what the shell runs: of a ``RUN`` that is only a here-document, the text of it."""
    first, _, rest = command.partition("\n")
    if not (only := _HEREDOC.fullmatch(first.strip())):
        return command
    body = rest.splitlines()[:-1]
    return "\n".join(line.lstrip("\t") for line in body) if only[1] else "\n".join(body)


def _flags(value: str) -> tuple[dict[str, str], str]:
    flags = {}
    while found := re.match(r"--([a-z-]+)(?:=(\S+))?\s+", value):
        flags[found[1]] = found[2] or ""
        value = value[found.end() :]
    return flags, value


def _json_list(value: str) -> list[str] | None:
    if not value.startswith("["):
        return None
    try:
        words = json.loads(value)
    except ValueError:
        return None  # such as the command [ -d /x ], as Docker reads it
    return words if all(isinstance(word, str) for word in words) else None


def _pairs(value: str, scope: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if not re.match(r"\w+=", value):  # the old form: ENV NAME any text
        name, _, text = value.partition(" ")
        yield name, _expand(text.strip(), scope)
        return
    for word in _words(value, scope):
        name, sign, text = word.partition("=")
        if not sign:
            raise UnsupportedDockerfile(f"{word!r} is no NAME=VALUE")
        yield name, text


def _expand(text: str, scope: Mapping[str, str]) -> str:
    return " ".join(_words(text, scope, split=False))


def _words(text: str, scope: Mapping[str, str], *, split: bool = True) -> Iterator[str]:
    """Yield the words of a text as a shell reads them: quotes, backslashes, and variables outside of single quotes."""
    word, quote, at, is_word = "", "", 0, False
    while at < len(text):
        character = text[at]
        at += 1
        if character == "\\" and quote != "'" and at < len(text):
            word, at, is_word = word + text[at], at + 1, True
        elif character == quote:
            quote = ""
        elif character in "\"'" and not quote:
            quote, is_word = character, True
        elif character == "$" and quote != "'" and (found := _VARIABLE.match(text, at)):
            word, at, is_word = word + _value(found, scope), found.end(), True
        elif character.isspace() and not quote and split:
            if is_word:
                yield word
            word, is_word = "", False
        else:
            word, is_word = word + character, True
    if quote:
        raise UnsupportedDockerfile(f"has an open quotation: {text}")
    if is_word:
        yield word


def _value(found: re.Match[str], scope: Mapping[str, str]) -> str:
    value = scope.get(found["plain"] or found["name"], "")
    if found["sign"] == ":-":
        return value or _expand(found["word"], scope)
    if found["sign"] == ":+":
        return _expand(found["word"], scope) if value else ""
    return value


def _glob(pattern: str, directory: Path) -> list[str]:
    return glob.glob(pattern, root_dir=directory, include_hidden=True)  # noqa: PTH207 - a Path leaves out links to nothing
