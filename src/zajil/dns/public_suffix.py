"""The registered part of a domain name, by the public suffix list.

Decision 0007 states when the list is used and when the tree walk of DMARC.
"""

from __future__ import annotations

from functools import lru_cache

from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=4096)
def registered_domain(host: str) -> str:
    """Return the part of a name that somebody registered; the name itself where there is none."""
    return suffixes().privatesuffix(host) or host


@lru_cache(maxsize=1)
def suffixes() -> PublicSuffixList:
    """Return the list; read once. It ships with the package, and nothing is fetched."""
    return PublicSuffixList()
