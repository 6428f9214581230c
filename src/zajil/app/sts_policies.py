"""Makes what finds the MTA-STS policies of other domains, and fetches them over HTTPS."""

from __future__ import annotations

from zajil.app.resources import WorkerResources, guarded_fetcher
from zajil.deliver.sts_policies import FetchPolicy, PolicyNotFetched, StsPolicies
from zajil.mailauth.mta_sts import MAX_POLICY_SIZE
from zajil.read.guarded_fetch import FetchFailed, GuardedFetcher

_PORT = 443
_SECONDS = 60.0
"""RFC 8461 section 3.3 suggests a timeout of one minute."""


def sts_policies(resources: WorkerResources) -> StsPolicies | None:
    """Return what finds policies; ``None``: they are not followed (``deliver.mta_sts``)."""
    if not resources.configuration.deliver.mta_sts:
        return None
    return StsPolicies(
        store=resources.store,
        resolve=resources.resolver.resolve,
        fetch=policy_fetcher(guarded_fetcher(resources)),
        clock=resources.clock,
        note_tls=None if resources.tls_counts is None else resources.tls_counts.note,
    )


def policy_fetcher(fetcher: GuardedFetcher, port: int = _PORT) -> FetchPolicy:
    """Return what fetches the policy of a domain (RFC 8461 section 3.3).

    The certificate must be valid for ``mta-sts.DOMAIN``; redirects are not followed.
    """

    async def fetch(domain: str) -> bytes:
        host = f"mta-sts.{domain}"
        place = host if port == _PORT else f"{host}:{port}"
        try:
            found = await fetcher.get(
                f"https://{place}/.well-known/mta-sts.txt",
                most_bytes=MAX_POLICY_SIZE,
                seconds=_SECONDS,
                accept="text/plain",
                https_only=True,
                redirects=0,
            )
        except FetchFailed as error:
            raise PolicyNotFetched(str(error)) from None
        if found.status != 200:
            raise PolicyNotFetched(f"{host} answered with status {found.status}")
        # RFC 8461 section 3.2: guards against pages that users of a host can put there.
        kind = found.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/plain":
            raise PolicyNotFetched(f"{host} answered with {kind or 'no media type'}")
        return found.data

    return fetch
