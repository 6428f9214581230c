"""crypt(3) of the operating system, for hashes of shadow and Dovecot.

Python's own module ``crypt`` is gone since 3.13. The library that it called is still there
(libxcrypt on Linux): it knows yescrypt, bcrypt, the SHA-2 methods, MD5 and DES.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from zajil.core.errors import Unavailable

_NAMES = ("libcrypt.so.1", "libcrypt.so.2", None)
"""Debian's and Red Hat's libxcrypt; ``None``: what this process has loaded, as musl's libc."""
_STATE_SIZE = 262_144
"""Bytes of ``struct crypt_data``: 32 KiB in libxcrypt, 131,232 in the old glibc."""


class NoSystemCrypt(Unavailable):
    """The operating system has no crypt_r()."""


@cache
def _function() -> Any:
    import ctypes

    for name in _NAMES:
        try:
            function = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        return function
    raise NoSystemCrypt("this system has no crypt(3): hashes of scheme CRYPT cannot be verified")


def system_crypt(password: bytes, setting: str) -> bytes:
    """Return the hash of a password, computed as a setting or a whole hash says.

    The lock of the interpreter is free meanwhile, so it may run in a thread.

    Args:
        password: without a NUL, which ends it.
        setting: ASCII; whoever calls bounds its cost.

    Returns:
        Empty: the system does not know the method, or the password cannot be hashed.

    Raises:
        NoSystemCrypt: see there.
    """
    import ctypes

    if b"\0" in password:
        return b""
    state = ctypes.create_string_buffer(_STATE_SIZE)
    found = _function()(password, setting.encode("ascii"), state)
    # "*0" and "*1" are failures (crypt(5)); they equal no hash.
    return b"" if found is None or found.startswith(b"*") else bytes(found)
