"""What a search on the pages costs: time of the server for one page of results.

``python tests/perf/searching.py [--mails 100000] [--rounds 7]``

A store in SQLite is filled with the messages of ``made_mailbox``, in the INBOX of one account, and
indexed. Then each query is asked for through the application, without a network: first once, which
may read what is kept in memory later, then again and again; the first time, the median and the
largest of the others are printed, in ms.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from indexing import fill, index_all
from kit.site import Browser, visiting
from kit.store import open_test_store
from made_mailbox import RARE

QUERIES = (
    RARE,
    "report",
    "project customer",
    '"project customer" from:haddad after:2022',
    "التقرير",
    "from:haddad",
    "from:haddad to:saleh",
    "subject:invoice is:unread",
    "has:attachment",
    "has:attachment from:layla larger:4K",
    "is:starred",
    "after:2021-01 before:2021-02",
    "report -invoice",
    "report OR invoice OR التقرير",
    "not-there-at-all",
)


async def measure(browser: Browser, path: str, rounds: int) -> tuple[int, list[float]]:
    """Return how many messages were found, and the ms of each request."""
    taken: list[float] = []
    found = 0
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        page = await browser.get(path)
        taken.append(1000 * (time.perf_counter() - begin))
        count = re.search(r"([0-9]+) messages? found", page.text)
        found = int(count[1]) if count else -1
    return found, taken


def row(name: str, found: int, taken: list[float]) -> str:
    """Return a line of the table."""
    first, *others = taken
    middle, most = statistics.median(others), max(others)
    return f"| {name} | {found} | {first:.0f} | {middle:.0f} | {most:.0f} |"


async def run(folder: Path, mails: int, rounds: int) -> None:
    """Fill, index, measure, print."""
    async with visiting(open_test_store("sqlite", folder)) as site:
        fill(site.store, [site.entry("amal")], mails)
        index_all(site.store)
        browser = site.browser()
        await browser.log_in("amal")
        print(f"{mails} messages\n\n| page | found | first | median | most |")
        print("|---|---|---|---|---|")
        print(row("INBOX", mails, (await measure(browser, site.inbox("amal"), rounds))[1]))
        for query in QUERIES:
            found, taken = await measure(browser, f"/search?{urlencode({'q': query})}", rounds)
            print(row(query, found, taken), flush=True)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="searching-", dir="/var/tmp") as folder:
        asyncio.run(run(Path(folder), arguments.mails, arguments.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
