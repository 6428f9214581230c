"""The log in a file: it may be rotated, be full, or be no file at all; mail never waits for it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from kit.certificates import TestAuthority
from kit.clock import FakeClock
from kit.installation import running_installation, set_up
from kit.raw_smtp import RawPeer
from zajil.config.options_monitor import LogOptions
from zajil.net.log import EventLog, set_up_log, shut_log
from zajil.net.log_place import LogPlace, LogUnavailable
from zajil.net.logger import get_logger, work_for_shard
from zajil.store.mail.tracking import EventBatch
from zajil.tracking.events import CheckDone, MailRefused, TrackingEvent


@pytest.fixture(autouse=True)
def end_of_log() -> Iterator[None]:
    """End the log of each test, and put the levels back."""
    before = logging.getLogger().level
    yield
    set_up_log(LogOptions())
    shut_log()
    logging.getLogger().setLevel(before)


def place_at(path: Path) -> LogPlace:
    """Open a place whose line about lost lines is easy to read."""
    return LogPlace(path, "lost {}".format)


def test_a_file_that_was_renamed_is_opened_anew(tmp_path: Path) -> None:
    file, old = tmp_path / "log", tmp_path / "log.1"
    place = place_at(file)
    place.write(["one"])
    file.rename(old)
    place.write(["two"])
    place.write(["three"])
    file.unlink()
    place.write(["four"])
    assert old.read_text() == "one\n"
    assert file.read_text() == "four\n"


def test_the_folder_may_be_gone_for_a_while(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    place = place_at(folder / "log")
    folder.rename(tmp_path / "elsewhere")
    place.write(["one"])
    folder.mkdir()
    place.write(["two"])
    assert (tmp_path / "elsewhere" / "log").read_text() == "one\n"
    assert (folder / "log").read_text() == "two\n"


def test_what_a_full_disk_lost_is_counted_and_told(tmp_path: Path) -> None:
    link = tmp_path / "log"
    link.symlink_to("/dev/full")
    place = place_at(link)
    place.write(["one", "two"])
    place.write(["three"])
    link.unlink()
    place.write(["four"])
    place.write(["five"])
    assert link.read_text() == "lost 3\nfour\nfive\n"


def test_a_pipe_that_nobody_reads_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LogUnavailable, match="cannot open"):
        place_at(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    place = place_at(pipe)
    place.write(["x" * 3000] * 100)  # more than a pipe holds
    while os.read(reader, 1 << 20):
        place.write(["on"])
        if b"on\n" in (data := os.read(reader, 1 << 20)):
            break
    assert b"lost " in data
    os.close(reader)
    place.write(["nobody reads"])


def test_a_file_that_cannot_be_opened_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "log"
    set_up_log(LogOptions(file=file))
    with pytest.raises(LogUnavailable, match="no/such/log: No such file"):
        set_up_log(LogOptions(file=tmp_path / "no" / "such" / "log"))
    get_logger().error("still here")
    assert file.read_text().endswith('error "still here"\n')


def test_lines_of_threads_stay_whole(tmp_path: Path) -> None:
    place = place_at(tmp_path / "log")

    def write(number: int) -> None:
        for _ in range(20):
            place.write([str(number) * 900] * 9)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 4 * 20 * 9
    assert {len(line) for line in lines} == {900}
    assert all(len(set(line)) == 1 for line in lines)


def test_handlers_do_not_pile_up_and_those_of_others_stay() -> None:
    before = logging.getLogger().handlers[:]
    set_up_log(LogOptions())
    set_up_log(LogOptions())
    assert len(logging.getLogger().handlers) == len(before) + 1
    shut_log()
    assert logging.getLogger().handlers == before


def tell(options: LogOptions, *events: TrackingEvent) -> None:
    """Log events of one mail."""
    set_up_log(options)
    EventLog(options, FakeClock()).tell([EventBatch(None, None, 0, events)])


def test_an_area_has_a_level_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "log"
    done = CheckDone(0, "spf", "pass", "it may", ())
    options = LogOptions(file=file, level="warning", levels={"check": "debug", "smtp": "debug"})
    tell(options, done, MailRefused(0, "550 5.7.1 no"))
    get_logger("zajil.smtp").debug("smtp.dialogue")
    get_logger("zajil.imap").debug("imap.dialogue")
    get_logger().info("not told")
    events = [line.split()[2] for line in file.read_text().splitlines()]
    assert events == ["check.done", "smtp.dialogue"]


def test_what_happens_in_another_shard_names_it_last(tmp_path: Path) -> None:
    options = LogOptions(file=tmp_path / "log")
    set_up_log(options)

    async def work() -> None:
        get_logger().error("it broke", reason="x")

    asyncio.run(work_for_shard("north", work()))
    asyncio.run(work())
    batch = EventBatch(None, None, 0, (MailRefused(0, "550 5.7.1 no"),))
    EventLog(options, FakeClock()).tell([batch], "north")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.endswith(" shard=north") for line in lines] == [True, False, True]


def test_an_unknown_area_is_an_error() -> None:
    with pytest.raises(ValidationError, match="there is no area 'smpt'; there are account, "):
        LogOptions(levels={"smpt": "debug"})


def test_the_journal_gets_the_severity_and_no_time(tmp_path: Path) -> None:
    file = tmp_path / "log"
    tell(LogOptions(file=file, format="journal"), MailRefused(0, "550 5.7.1 no"))
    get_logger().error("it broke", reason="x")
    assert file.read_text() == (
        '<6>info mail.refused from=<> reply="550 5.7.1 no" reason=""\n'
        '<3>error "it broke" reason=x\n'
    )


def test_a_server_logs_to_a_file_that_is_rotated(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = TestAuthority(tmp_path_factory.mktemp("ca")).issue("mx.y.test")
    file = tmp_path / "server.log"
    settings = ["log.level=info", f"log.file={file}"]
    with running_installation(tmp_path / "z", certificate, *settings, workers=1) as server:
        assert '"serving"' not in file.read_text()  # one word stands bare
        assert " info serving " in file.read_text()
        file.rename(tmp_path / "server.log.1")
        with RawPeer(server.address("smtp")) as peer:
            peer.say("EHLO there.test")
            peer.say("MAIL FROM:<a@elsewhere.test>")
            assert peer.say("RCPT TO:<nobody@y.test>").startswith("550")
            peer.say("QUIT")
    assert " info mail.recipient_refused " in file.read_text()
    assert " info stopped " in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_server_whose_log_cannot_be_opened_says_so(tmp_path: Path) -> None:
    made = set_up(tmp_path / "z")
    override = f"log.file={tmp_path}/none/log"
    command = [sys.executable, "-m", "zajil", "--config", str(made.configuration)]
    done = subprocess.run(
        [*command, "--set", override, "serve"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert f"cannot open log.file, {tmp_path}/none/log: No such file or directory" in done.stderr
