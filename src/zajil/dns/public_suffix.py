"""Which part of a name somebody registered, by the public suffix list.

Decision 0007 says where the list is right and where the tree walk of DMARC is.
"""

from __future__ import annotations

from functools import lru_cache

from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=4096)
def registered_domain(host: str) -> str:
    """Give the part of a name that somebody registered; the name itself where there is none."""
    return suffixes().privatesuffix(host) or host


@lru_cache(maxsize=1)
def suffixes() -> PublicSuffixList:
    """Give the list; read once. It ships with the package, and nothing is fetched."""
    return PublicSuffixList()
