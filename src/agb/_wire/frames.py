"""WebSocket frames, cut apart: plain messages are taken as they are, all others are left to the protocol's own parser.

Nearly all that comes is small, whole and text, and that parser takes longer for it than reading its JSON does.

The format of frames is in RFC 6455, section 5.2.
"""

from __future__ import annotations

_WHOLE_TEXT = 0x81


def split_frames(buffer: bytearray) -> list[tuple[bool, bytearray]]:
    """Take the complete frames out of ``buffer``; each with True is the payload of a text, with False the frame itself.

    Nothing is judged here: what breaks the rules is a frame of the second kind.
    """
    frames = []
    at, size = 0, len(buffer)
    while size - at >= 2:
        first, length = buffer[at], buffer[at + 1]
        begin = at + 2
        is_plain = first == _WHOLE_TEXT and length < 0x80
        if is_plain and length == 126 and size - at >= 4:  # as most are
            length = buffer[begin] << 8 | buffer[at + 3]
            begin += 2
        elif length >= 126:
            if length & 0x80:
                length &= 0x7F
                begin += 4  # the mask, behind the length
            if length >= 126:
                width = 2 if length == 126 else 8
                length = int.from_bytes(buffer[at + 2 : at + 2 + width])
                begin += width
        end = begin + length
        if end > size:
            break
        frames.append((is_plain, buffer[begin if is_plain else at : end]))
        at = end
    del buffer[:at]
    return frames
