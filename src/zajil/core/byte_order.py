"""Numbers as they are stored: the lowest byte first, whatever the machine has."""

from __future__ import annotations

import sys
from array import array


def little_endian(numbers: array[int]) -> array[int]:
    """Return numbers in the order of bytes that is stored, or stored ones in the machine's."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
