"""WebSocket frames: splits a buffer into frames, and takes the payload of unfragmented text frames without a parser.

Nearly all incoming frames are of that kind, and the parser of ``websockets`` takes longer for one than reading its JSON
does. All other frames are left to that parser.

The format of frames is in RFC 6455, section 5.2.
"""

from __future__ import annotations

_WHOLE_TEXT = 0x81


def split_frames(buffer: bytearray) -> list[tuple[bool, bytearray]]:
    """Remove the complete frames from ``buffer`` and return them.

    A pair with True holds the payload of an unmasked, unfragmented text frame; a pair with False holds a whole frame of
    any other kind. Frames are not validated here: an invalid one is returned with False, and the parser rejects it.
    """
    frames = []
    at, size = 0, len(buffer)
    while size - at >= 2:
        first, length = buffer[at], buffer[at + 1]
        begin = at + 2
        is_plain = first == _WHOLE_TEXT and length < 0x80
        if is_plain and length == 126 and size - at >= 4:  # the common case
            length = buffer[begin] << 8 | buffer[at + 3]
            begin += 2
        elif length >= 126:
            if length & 0x80:
                length &= 0x7F
                begin += 4  # the masking key follows the length
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
