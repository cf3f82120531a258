"""Runs inside a session, for one sync: lists, reads and writes the files of one mount, as the session's user.

It is run as ``python -I -S inside mount_helper`` and uses the standard library only. It never leaves the mount:
directories are opened one by one, each relative to the descriptor of the one above, and no symbolic link is followed on
the way. The file that a link leads to is read only if it is in the mount as well.

**Protocol** (`messages`). Every exchange is started by the runtime, which reads the whole answer before it sends the
next request. That is the invariant that prevents a deadlock: at any time only one end writes more than the socket's
buffer holds, and the other end reads. Requests without an answer (``put``, ``drop``, ``note``) keep it, because the
helper reads them one by one and stores the outcome until ``results`` asks for it.

The answer to ``open`` is one message. Every other answer ends with one message that has ``end``, also when the request
failed (then it may have ``failed`` as well), so the runtime always finds the beginning of the next answer.

    open     {top, below, make}                        {}, or {failed}
    list     {lists, below}                            {}, blob: rows, as often as needed; then {end}
    send     blob: paths                               {path, mode, mtime} with the first part of a file, {} with
                                                       further ones, {done, unsure} with the last; or {path, failed,
                                                       gone}; then {end}
    put      {path, mode, mtime, last}, {last}         no answer; ``results`` returns the outcome
    drop                                               no answer; discards the file that was begun
    results                                            {}, blob: rows [path, signature or null, failure]; then {end}
    note     blob: rows, used by the next request      no answer
    extract  {path, into, delete, most, lists}         {}, blob: rows [path, signature]; then {end, left} or {failed};
                                                       notes: [path] of files that are not replaced
    pack     {merge, deletes, discard}                 {} with each part of the archive, {done} with the last or
                                                       {failed, path}; then rows [path, signature, unsure, digest];
                                                       then {end, foreign};
                                                       notes: [path, action, size, mtime, digest]
"""
