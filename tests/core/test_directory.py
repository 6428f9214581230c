from __future__ import annotations

from kit.address_book import AMAL, Book, address
from zajil.core.directory import DirectoryAnswer


def test_an_answer_tells_our_domains_from_our_addresses() -> None:
    book = Book([AMAL], {})
    assert book.answer(address("amal@north.test")) == DirectoryAnswer(True, AMAL)
    assert book.answer(address("nobody@north.test")) == DirectoryAnswer(True, None)
    assert book.answer(address("amal@far.test")) == DirectoryAnswer(False, None)
