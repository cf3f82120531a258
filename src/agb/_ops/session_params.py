"""What a session is created from, checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sessions import labels_refused

if TYPE_CHECKING:
    from ..session_params import CreateSessionParams


def check_session_params(params: CreateSessionParams | None) -> CreateSessionParams:
    """Return the params if a session can be created from them; the error texts keep the key words of 0.12.

    Raises:
        TypeError: an object of another class.
        ValueError: something is missing, or cannot be used.
    """
    if params is None:
        raise ValueError("params is required: pass CreateSessionParams(image_id=...)")
    from ..session_params import CreateSessionParams  # loaded already, by the caller who made the params

    if not isinstance(params, CreateSessionParams):
        raise TypeError(f"params is a CreateSessionParams, not {type(params).__name__}")
    if not isinstance(params.image_id, str) or not params.image_id.strip():
        raise ValueError('image_id is required: pass CreateSessionParams(image_id="agb-code-space-1"), for example')
    if params.labels and (refused := labels_refused(params.labels)):
        raise ValueError(refused)
    _check_context_syncs(params)
    return params


def _check_context_syncs(params: CreateSessionParams) -> None:
    from ..context_sync import ContextSync  # loaded already, by the caller who made the params

    for sync in params.all_context_syncs():
        if not isinstance(sync, ContextSync):
            raise TypeError(f"context_syncs is a list of ContextSync, not of {type(sync).__name__}")
        if not isinstance(sync.context_id, str) or not sync.context_id.strip():
            raise ValueError(
                f"a context to be mounted needs its context_id, not {sync.context_id!r}: agb.context.get returns it"
            )
        if not isinstance(sync.path, str) or not sync.path.startswith("/"):
            raise ValueError(f"a context is mounted at an absolute path of the session, not at {sync.path!r}")
