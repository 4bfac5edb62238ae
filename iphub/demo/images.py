"""Tiny valid PNG pictures for the demo registers, written with ``zlib`` alone.

Only pixels; which record shows which picture does not belong here.
Standard: PNG (ISO/IEC 15948), colour type 3 (palette), bit depth 8.
"""

import struct
import zlib
from functools import lru_cache

SIDE = 120
"""Pixels; just over the 100 that WIPO's Global Brand Database asks of a mark image."""


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@lru_cache(512)
def picture(number: int) -> bytes:
    """Return a square PNG of under 500 bytes; equal numbers give equal bytes.

    Args:
        number: chooses the two colours and the width of the stripes.
    """
    red, green, blue = number * 67 % 200, number * 41 % 200, number * 97 % 200
    palette = bytes((red, green, blue, 255 - red, 255 - green, 255 - blue))
    stripe = 6 + number % 19
    row = b"\x00" + bytes((x // stripe) % 2 for x in range(SIDE))
    inverse = b"\x00" + bytes(1 - (x // stripe) % 2 for x in range(SIDE))
    pixels = b"".join(row if (y // stripe) % 2 else inverse for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"PLTE", palette)
        + _chunk(b"IDAT", zlib.compress(pixels, 9))
        + _chunk(b"IEND", b"")
    )
