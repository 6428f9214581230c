"""Directory queries without a task switch if the answer is cached.

``route_recipient`` is a flow. Usually every address that it queries is in the worker's cache, and
RCPT is answered within the read event.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from zajil.core.address import Address
from zajil.route.recipient import DirectoryFlow
from zajil.store.people.directory import Directory

T = TypeVar("T")


def ask_directory(flow: DirectoryFlow[T], directory: Directory) -> T | Coroutine[Any, Any, T]:
    """Run the flow; give its result, or a coroutine that will have it."""
    try:
        address = next(flow)
        while (answer := directory.peek(address)) is not None:
            address = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    return _finish(flow, address, directory)


async def ask_directory_and_wait(flow: DirectoryFlow[T], directory: Directory) -> T:
    """Run the flow; wait for the store where memory does not know."""
    outcome = ask_directory(flow, directory)
    if isinstance(outcome, Coroutine):
        result: T = await outcome
        return result
    return outcome


async def _finish(flow: DirectoryFlow[T], address: Address, directory: Directory) -> T:
    try:
        while True:
            address = flow.send(await directory.find(address))
    except StopIteration as stop:
        result: T = stop.value
        return result
