"""docs/library.md: its programs run as they stand there, over real sockets."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.smtp_service import Run
from zajil.core.address import Address
from zajil.net.simple_smtp import ReceivedMessage, SendingRefused, send_message, serve_smtp
from zajil.smtp.lines import BareLineEnd
from zajil.smtp.reply import Reply

PAGE = Path(__file__).resolve().parents[2] / "docs" / "library.md"
RECEIVER, SENDER = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
MESSAGE = b"Subject: x\r\n\r\n.text\r\n"


@contextmanager
def receiver(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the page's receiver on a free port."""
    program = folder / "receiver.py"
    program.write_text(RECEIVER.replace("8025", "0"), "utf-8")
    command = [sys.executable, str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().removeprefix("listening on port ").strip()
        finally:
            process.terminate()


def send(folder: Path, port: str, text: str = SENDER) -> str:
    """Run the page's sender."""
    program = folder / "sender.py"
    program.write_text(text.replace("8025", port), "utf-8")
    command = [sys.executable, str(program)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_two_programs_of_the_page(tmp_path: Path) -> None:
    with receiver(tmp_path) as (process, port):
        assert send(tmp_path, port) == "noor@south.test: 250 2.0.0 ok\n"
        assert process.stdout is not None
        assert process.stdout.readline().startswith("amal@north.test to noor@south.test: ")
        refused = send(tmp_path, port, SENDER.replace("Greetings", "lottery"))
        assert refused == "refused: 550 5.7.1 message rejected by policy\n"


def test_each_program_has_twenty_lines() -> None:
    for program in (RECEIVER, SENDER):
        assert len([line for line in program.splitlines() if line]) <= 20


def test_tls_and_a_refused_recipient(run: Run, authority: TestAuthority) -> None:
    taken: list[ReceivedMessage] = []

    async def handle(message: ReceivedMessage) -> None:
        taken.append(message)

    async def accept(recipient: Address) -> Reply | None:
        unknown = recipient.local_part == "unknown"
        return Reply(550, ("5.1.1 no such mailbox",)) if unknown else None

    async def main() -> None:
        files = authority.issue("127.0.0.1")
        async with serve_smtp(
            handle, "127.0.0.1", 0, accept_recipient=accept, certificate=files
        ) as server:
            replies = await send_message(
                server.host,
                server.port,
                "",
                ["a@x.test", "unknown@x.test"],
                MESSAGE,
                tls=authority.client_context(),
            )
            assert {name: reply.code for name, reply in replies.items()} == {
                "a@x.test": 250,
                "unknown@x.test": 550,
            }
            with pytest.raises(SendingRefused, match="no such mailbox"):
                await send_message(server.host, server.port, "", ["unknown@x.test"], MESSAGE)
        (message,) = taken
        assert message.content == MESSAGE
        assert message.reverse_path is None
        assert [str(one) for one in message.recipients] == ["a@x.test"]
        assert message.tls is not None
        assert message.tls.startswith("TLSv1.3")

    run(main())


def test_what_is_too_large_and_what_must_not_leave(run: Run) -> None:
    async def handle(message: ReceivedMessage) -> None:
        raise AssertionError(message)

    async def main() -> None:
        async with serve_smtp(handle, "127.0.0.1", 0, max_message_size=100) as server:
            where = server.host, server.port, "a@x.test", ["b@x.test"]
            with pytest.raises(SendingRefused, match=r"552 5\.3\.4"):
                await send_message(*where, MESSAGE * 10)
            with pytest.raises(BareLineEnd):
                await send_message(*where, b"Subject: x\n\nx\n")

    run(main())


def test_a_fault_of_the_handler_is_temporary(run: Run) -> None:
    async def handle(message: ReceivedMessage) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def main() -> None:
        async with serve_smtp(handle, "127.0.0.1", 0) as server:
            with pytest.raises(SendingRefused, match=r"421 4\.3\.0"):
                await send_message(server.host, server.port, "a@x.test", ["b@x.test"], MESSAGE)

    run(main())


def test_hidden_recipients_stay_hidden(run: Run) -> None:
    taken: list[bytes] = []

    async def handle(message: ReceivedMessage) -> None:
        taken.append(message.content)

    async def main() -> None:
        message = EmailMessage()
        message["To"], message["Bcc"] = "b@x.test", "secret@x.test"
        message.set_content("text")
        async with serve_smtp(handle, "127.0.0.1", 0) as server:
            await send_message(server.host, server.port, "a@x.test", ["secret@x.test"], message)
        assert message["Bcc"] == "secret@x.test"
        assert b"To: b@x.test" in taken[0]
        assert b"secret" not in taken[0]

    run(main())


@pytest.mark.parametrize("last", [b"", b"421 4.3.2 shutting down\r\n", b"nonsense\r\n"])
def test_an_accepted_message_is_sent_whatever_quit_is_answered(run: Run, last: bytes) -> None:
    """Else the caller sends it a second time."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x.test\r\n")
        in_data = False
        while line := await reader.readline():
            if in_data:
                if line == b".\r\n":
                    in_data = False
                    writer.write(b"250 2.0.0 queued\r\n")
            elif line.startswith(b"QUIT"):
                writer.write(last)
                break
            else:
                in_data = line.startswith(b"DATA")
                writer.write(b"354 go\r\n" if in_data else b"250 ok\r\n")
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            replies = await send_message("127.0.0.1", port, "a@x.test", ["b@x.test"], MESSAGE)
        assert replies["b@x.test"].code == 250

    run(main())
