"""Runs inside a session: the file tools, as the session's user, in the session's own view of the machine.

It is run as ``python -I -S inside file_helper`` in the session's home and uses the standard library only. The kernel's
permissions and the sandbox's root decide what it can reach, so no check of a path can lose a race against a symbolic
link.

Requests and replies are messages (`messages`) over descriptor 3. Several requests run at a time, and replies are sent
in the order in which they are ready.

    runtime -> helper     {id, tool, args}, blob: the content of a file to be written
                          {cancel: id}
    helper -> runtime     {id, ok}, blob: the result's text as documented for the tool, or one sentence on what failed
"""
