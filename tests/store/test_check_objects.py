"""Rows compared with objects in S3, both ways."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.blobs import KEY, OTHER, key_file
from kit.s3 import FaultyProxy, S3Server, moto_server
from kit.store import make_account, make_intake, open_test_store
from zajil.cli.store import _verdict
from zajil.config.options import Configuration
from zajil.config.options_server import ServerOptions
from zajil.net.system import SystemClock
from zajil.operations.s3_findings import s3_findings
from zajil.operations.store import CheckReport, StoreCheckOptions, check_store
from zajil.store.blobs.location import parse_location
from zajil.store.blobs.prefix import require_mark
from zajil.store.blobs.used_keys import require_keys
from zajil.store.engine.open import ORPHAN_AGE_MS, Store
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.intake import write_intakes

pytest.importorskip("obstore")
pytest.importorskip("moto.server")


class Later(SystemClock):
    def now_ms(self) -> int:
        return int(time.time() * 1000) + ORPHAN_AGE_MS + 1000


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@contextmanager
def quiet(_: str) -> Iterator[Any]:
    yield lambda *_: None


def configuration_of(store: Store, **fields: Any) -> Configuration:
    server = ServerOptions(hostname="mail.north.test", data_dir=store.data_dir)
    options = store._options.model_copy(update=fields)
    return Configuration(server=server).model_copy(update={"store": options})


def check(store: Store, *, reads_objects: bool = False) -> CheckReport:
    options = StoreCheckOptions(reads_objects=reads_objects)
    return check_store(store, configuration_of(store), Later(), options, quiet)


def kinds(report: CheckReport) -> list[str]:
    return sorted(one.kind for one in report.found)


@pytest.fixture
def filled(s3: S3Server, tmp_path: Path) -> Iterator[tuple[Store, list[StagedBlob]]]:
    """Six messages in S3."""
    store = open_test_store("sqlite", tmp_path / "data", **s3.store_options(s3.new_place()))
    amal = make_account(store, "amal@north.test")
    staged = []
    for size in range(6):
        head = b"Subject: %d\r\n\r\n" % size
        one = store.blobs.stage_now([head, os.urandom(2000 + size)])
        store.write_now(write_intakes, make_intake(one, local=[amal]))
        staged.append(one)
    yield store, staged
    store.close_now()


def name_of(staged: StagedBlob) -> str:
    return parse_location(staged.location or "").name


def test_a_store_that_is_right(filled: tuple[Store, list[StagedBlob]]) -> None:
    store, _ = filled
    report = check(store)
    assert (kinds(report), report.messages, report.unused_objects) == ([], 0, 0)
    assert check(store, reads_objects=True).messages == 6


def test_objects_that_are_missing_short_or_wrong(filled: tuple[Store, list[StagedBlob]]) -> None:
    store, staged = filled
    bucket = store.blobs.objects.bucket
    bucket.delete(name_of(staged[0]))
    bucket.put(name_of(staged[1]), b"short")
    bucket.put(name_of(staged[2]), bytes(staged[2].size))
    for one in staged:
        store.blobs.objects.cache.forget(name_of(one))
    bucket.put("zz/strange", b"of the operator")
    asyncio.run(store.blobs.stage_any([os.urandom(3000)]))  # a crash left it
    report = check(store)
    assert kinds(report) == ["missing-blob", "wrong-size"]
    assert report.unused_objects == 1
    assert "is missing in s3://" in report.found[0].reason
    assert "message 1 in mailbox INBOX" in report.found[0].what
    store.blobs.objects.fills_cache = False
    report = check(store, reads_objects=True)
    assert kinds(report) == ["missing-blob", "wrong-bytes", "wrong-size"]


def test_s3_that_does_not_answer_is_told(
    filled: tuple[Store, list[StagedBlob]], s3: S3Server
) -> None:
    store, _ = filled
    proxy = FaultyProxy(s3)
    proxy.fault = "403"
    options = proxy.server.options()
    place = store.blobs.objects.bucket.place
    other = open_test_store("sqlite", store.data_dir, blobs=place, s3=options)
    report = check(other)
    assert kinds(report) == ["unreachable"]
    assert _verdict(set(kinds(report))).startswith("no damage was found, but")
    assert "403" in report.found[0].reason
    other.close_now()
    proxy.close()


def test_a_key_that_is_missing_is_told(s3: S3Server, tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", KEY)
    options = s3.store_options(s3.new_place(), key_file=path)
    store = open_test_store("sqlite", tmp_path / "data", **options)
    amal = make_account(store, "amal@north.test")
    require_keys(store)
    staged = store.blobs.stage_now([os.urandom(70_000)])
    store.write_now(write_intakes, make_intake(staged, local=[amal]))
    assert kinds(check(store)) == []
    store.close_now()
    key_file(path, OTHER)
    store = open_test_store("sqlite", tmp_path / "data", **options)
    assert kinds(check(store)) == ["missing-key"]
    store.close_now()


@pytest.mark.parametrize(
    ("fault", "place", "words"),
    [
        ("", None, []),
        ("403", None, ["403"]),
        ("503", None, ["503"]),
        ("refuse", None, ["cannot write"]),
        ("", "s3://no-such-bucket/x", ["404"]),
    ],
)
def test_what_config_check_finds(
    s3: S3Server, tmp_path: Path, fault: str, place: str | None, words: list[str]
) -> None:
    proxy = FaultyProxy(s3)
    store = open_test_store("sqlite", tmp_path / "data")
    place = place or s3.new_place()
    configuration = configuration_of(store, blobs=place, s3=proxy.server.options())
    proxy.fault = fault
    found = [one.reason for one in s3_findings(configuration)]
    assert len(found) == len(words)
    assert all(word in reason for word, reason in zip(words, found, strict=True))
    store.close_now()
    proxy.close()


def test_config_check_knows_the_prefix_of_another_store(s3: S3Server, tmp_path: Path) -> None:
    place = s3.new_place()
    one, two = (
        open_test_store("sqlite", tmp_path / name, **s3.store_options(place))
        for name in ("one", "two")
    )
    require_mark(one)
    for store, count in ((one, 0), (two, 1)):
        configuration = configuration_of(store, blobs=place, s3=s3.options())
        found = [one.reason for one in s3_findings(configuration)]
        assert ["belongs to another store" in reason for reason in found] == [True] * count
    for store in (one, two):
        store.close_now()


def test_config_check_reads_the_key_file(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data")
    configuration = configuration_of(store, key_file=tmp_path / "none")
    assert ["is missing" in one.reason for one in s3_findings(configuration)] == [True]
    store.close_now()


def test_contents_are_those_of_the_object_and_not_of_a_copy(
    filled: tuple[Store, list[StagedBlob]],
) -> None:
    """This node has a whole copy of what is damaged in S3."""
    store, staged = filled
    store.blobs.objects.bucket.put(name_of(staged[0]), bytes(staged[0].size))
    assert store.read_now(lambda conn: store.blobs.read(conn, staged[0].blob_id))
    store.blobs.objects.fills_cache = False  # as in the command
    assert kinds(check(store)) == []
    assert kinds(check(store, reads_objects=True)) == ["wrong-bytes"]
