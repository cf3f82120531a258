"""``agb completion``: the script by which a shell completes the words of ``agb``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .parser import command


@command(
    "agb completion bash >> ~/.bashrc",
    "agb completion zsh > ~/.zfunc/_agb",
    "agb completion fish > ~/.config/fish/completions/agb.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and the ids of sessions in a shell."""
    from .app import root

    made = get_completion_class(shell)
    assert made is not None  # click knows these three
    click.echo(made(root, {}, "agb", "_AGB_COMPLETE").source())
