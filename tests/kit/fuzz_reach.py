"""Which lines of the readers of foreign bytes the fuzz targets reach.

`./test fuzz --reached [--runs N]` prints, for each function that no target enters and each line
that none reaches, where it is. Only the bodies of functions count, and not those of ``LEFT_OUT``.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from kit.fuzz import Target, fuzz

SOURCE = Path(__file__).parents[2] / "src" / "zajil"
ROOMS = ("check", "message", "mailauth", "read", "reports")

_STORE = "reads and writes the store; message bytes are handed on to parsers that are measured"
_IMAP = "moves rows of the store; what a client says is parsed in zajil.imap, which has targets"
_POP3 = "moves bytes and rows; what a client says is parsed in zajil.pop3, which has targets"
LEFT_OUT = {
    "check/scanners/clamd.py: scan": "talks to clamd; its reply is read by read_reply",
    "check/scanners/clamd.py: _exchange": "talks to clamd",
    "check/scanners/clamd.py: _pieces": "cuts a message into pieces for clamd",
    "check/scanners/rspamd.py: Rspamd.close": "closes the connections to Rspamd",
    "check/memory.py: Memory.__len__": "counts for tests",
    "check/sender/dns_lists.py: DnsLists.watch": "waits for the clock",
    "check/step.py: Faults._note": "entered only when a check fails, and here none may",
    "check/learned/greylist.py: Greylist": _STORE,
    "check/learned/greylist.py: prune_greylist": _STORE,
    "check/learned/learned_checks.py": _STORE,
    "check/verdict/verdict.py: is_phishing": "adds up weights; no bytes of a message",
    "check/content/lookalike.py: load_tables": "reads tables of ours",
    "check/learned/model.py: Models": _STORE,
    "check/content/protected_names.py": "reads our own names from the store",
    "check/learned/reputation.py: History": _STORE,
    "check/learned/reputation.py: learner_of": _STORE,
    "check/learned/reputation.py: forget_history": _STORE,
    "check/learned/lessons.py": "counts what accounts teach; no bytes of a message",
    "check/learned/voices.py": "counts what accounts did; no bytes of a message",
    "check/scanners/run.py": "asks scanners; their replies are read in clamd.py and rspamd.py",
    "check/step.py: Checks.remember": _STORE,
    "check/learned/trainer.py": _STORE,
    "mailauth/dkim_sign.py: load_signing_key": "reads keys of ours",
    "mailauth/dkim_sign.py: _load_pem": "reads keys of ours",
    "read/push_sender.py": _STORE,
    "read/derived_check.py": _STORE,
    "read/web_push.py": "encrypts texts of ours; the keys of browsers are read by cryptography",
    "read/pdf_child.py": "a program of its own, in which pypdf reads the bytes",
    "read/pdf_text.py": "starts that program",
    "message/stems.py": "takes words of a query apart; no bytes of a message",
    "message/entity.py": "writes messages of ours",
    "message/word_blocks.py": "reads and writes blocks of the index that index_words made",
    "message/word_query.py": "what a user types; index_words reads messages for it",
    "message/words.py: find_clues": "takes the term of a search apart",
    "message/words.py: _place": "takes the term of a search apart",
    "message/words.py: _clue_of_word": "takes the term of a search apart",
    "message/words.py: is_unspaced": "takes the term of a search apart",
    "message/summary.py: faulty_summary": "is empty; written where a message cannot be read",
    "read/guarded_fetch.py": "talks to web servers; URLs are read by links.py, answers by httpx",
    "read/picture_fetch.py: PictureFetcher": "talks to web servers",
    "read/sender_logos.py": "asks DNS and web servers; what they say is read by mailauth",
    "read/index_pace.py": "waits for the clock and for other workers",
    "read/imap/acl.py": _IMAP,
    "read/imap/append.py": _IMAP,
    "read/imap/outcome.py": _IMAP,
    "read/imap/postponed.py": _IMAP,
    "read/imap/quota.py": _IMAP,
    "read/imap/catenate.py": _STORE,
    "read/imap/condstore.py": _IMAP,
    "read/imap/context.py": _IMAP,
    "read/imap/copy_move.py": _IMAP,
    "read/imap/enable.py": _IMAP,
    "read/imap/expunge.py": _IMAP,
    "read/imap/fetch.py": "sends what read/imap/content.py has read",
    "read/imap/fetch_kept.py": _STORE,
    "read/imap/fetch_lines.py": _IMAP,
    "read/imap/fetch_read.py": "sends what read/imap/content.py has read",
    "read/imap/fetch_rows.py": _STORE,
    "read/imap/fetch_whole.py": _STORE,
    "read/imap/field_hits.py": _STORE,
    "read/imap/kept_values.py": _STORE,
    "read/imap/portions.py": "counts how many messages fit into a turn",
    "read/imap/content.py: Content.known": "hands on what is known already",
    "read/imap/decoded_part.py: DecodedPart._has_room": "counts bytes that are kept",
    "message/transfer.py: TransferDecoder.held_size": "counts bytes that are kept",
    "read/imap/masks.py": "picks messages by their numbers; no bytes of a message",
    "read/imap/matcher.py: Matcher.needs_columns": "asks which rows a search reads",
    "read/imap/matcher.py: Matcher._holds": "compares rows of the store",
    "read/imap/matcher.py: Matcher.term_of": "gives back the term of a key",
    "read/imap/flags.py": _IMAP,
    "read/imap/incoming.py": _STORE,
    "read/imap/mailbox_admin.py": _IMAP,
    "read/imap/mailbox_commands.py": _IMAP,
    "read/imap/mailbox_list.py": _IMAP,
    "read/imap/mailbox_names.py": _IMAP,
    "read/imap/metadata.py": _IMAP,
    "read/imap/multi_search.py": _IMAP,
    "read/imap/notify.py": _IMAP,
    "read/imap/notify_interest.py": _IMAP,
    "read/imap/object_id.py": _IMAP,
    "read/imap/resync.py": _IMAP,
    "read/imap/header_values.py": _STORE,
    "read/imap/capabilities.py": "words about the server, not from a peer",
    "read/imap/search.py": _IMAP,
    "read/imap/search_answer.py": _IMAP,
    "read/imap/searches.py": _IMAP,
    "read/imap/search_context.py: SearchContext.read": _STORE,
    "read/imap/search_context.py: SearchContext.work": _STORE,
    "read/imap/search_context.py: SearchContext.pause": _STORE,
    "read/imap/search_text.py: MessageText.content_has": _STORE,
    "read/mail_search.py": _STORE,
    "read/search_query.py: _in_search_form": "makes tables of ours when it is imported",
    "read/unsubscribe.py: Unsubscribe.is_empty": "asks whether anything was found",
    "read/imap/select.py": _IMAP,
    "read/imap/service.py": _IMAP,
    "read/imap/sort.py": _IMAP,
    "read/imap/text_hits.py": _IMAP,
    "read/imap/thread.py": _IMAP,
    "read/imap/session.py": _IMAP,
    "read/imap/selected_mailbox.py": _IMAP,
    "read/index_merger.py": _STORE,
    "read/imap/openings.py": _STORE,
    "read/indexer.py: Indexer": _STORE,
    "read/indexer.py: index_now": _STORE,
    "read/indexer.py: reindex": _STORE,
    "read/indexer.py: read_summaries": _STORE,
    "read/indexer.py: read_page": _STORE,
    "read/indexer.py: complete_page": _STORE,
    "read/indexer.py: keep_new": _STORE,
    "read/indexer.py: keep_now": _STORE,
    "read/indexer.py: _read_head": _STORE,
    "read/indexer.py: _unreadable": "is empty; written where a message cannot be read",
    "read/indexer.py: _batches": _STORE,
    "read/pop3/download.py": _POP3,
    "read/pop3/locks.py": _POP3,
    "read/pop3/maildrop.py": _POP3,
    "read/pop3/service.py": _POP3,
    "read/pop3/session.py": _POP3,
    "reports/counts.py: Counts.run": "waits for the clock",
    "reports/counts.py: Counts._flush_in_thread": "only moves what flush moves",
    "reports/dmarc/codec.py: decode_details": "reads what encode_details wrote",
    "reports/collector.py": _STORE,
    "reports/dmarc/sending.py": "writes reports of ours",
    "reports/sending.py": _STORE,
}
"""Files, functions and classes that touch no bytes from outside, and why."""

_PART = re.compile(r"\.<locals>\.<(?:lambda|genexpr|listcomp|dictcomp|setcomp)>.*")


def is_left_out(name: str, function: str) -> bool:
    """Whether a function of a file (below ``zajil``) is not measured."""
    place = f"{name}: {function}"
    return any(place == one or place.startswith((f"{one}.", f"{one}: ")) for one in LEFT_OUT)


def lines_of_functions(path: Path) -> dict[str, set[int]]:
    """Return the lines of each function of a file, by its qualified name.

    A comprehension belongs to the function that it stands in.
    """
    found: dict[str, set[int]] = {}
    for code in _codes(compile(path.read_text("utf-8"), str(path), "exec")):
        name = _PART.sub("", code.co_qualname)
        if code.co_flags & 0x2 and not name.startswith("<"):  # optimized: it is a function
            found.setdefault(name, set()).update(_lines_of(code))
    return found


def _lines_of(code: CodeType) -> set[int]:
    lines = {line for _, _, line in code.co_lines() if line}
    if not code.co_name.startswith("<"):
        lines.discard(code.co_firstlineno)
    return lines


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


class _Tracer:
    """Notes lines; a code object whose lines were all reached is not traced any more."""

    def __init__(self) -> None:
        self._rooms = tuple(f"{SOURCE / room}/" for room in ROOMS)
        self._left: dict[tuple[str, CodeType], set[int]] = {}
        """Equal functions on equal lines of two files have equal code objects."""

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        code = frame.f_code
        key = code.co_filename, code
        left = self._left.get(key)
        if left is None:
            is_ours = code.co_filename.startswith(self._rooms)
            left = self._left[key] = _lines_of(code) if is_ours else set()
        if not left:
            return None

        def note_line(frame: FrameType, event: str, _argument: Any) -> Any:
            left.discard(frame.f_lineno)
            return note_line if left else None

        return note_line

    def reached(self) -> dict[str, set[int]]:
        """Return the lines by path below ``zajil``."""
        found: dict[str, set[int]] = {}
        for (_, code), left in list(self._left.items()):
            if code.co_filename.startswith(self._rooms):
                name = str(Path(code.co_filename).relative_to(SOURCE))
                found.setdefault(name, set()).update(_lines_of(code) - left)
        return found


def reached_lines(targets: Iterable[Target], runs: int) -> dict[str, set[int]]:
    """Run the targets; give the lines that were reached, by path below ``zajil``."""
    tracer = _Tracer()
    for target in targets:
        threading.settrace(tracer)
        sys.settrace(tracer)
        try:
            find = fuzz(target, seed=1, runs=target.runs(runs))
        finally:
            sys.settrace(None)
            threading.settrace(None)
        assert find is None, f"{target.name}: {find.data!r} raises {find.error!r}"
    return tracer.reached()


def _measured() -> Iterator[tuple[str, str, set[int]]]:
    """Yield file, function and lines of all that is measured."""
    for room in ROOMS:
        for path in sorted((SOURCE / room).rglob("*.py")):
            name = str(path.relative_to(SOURCE))
            for function, lines in lines_of_functions(path).items():
                if lines and not is_left_out(name, function):
                    yield name, function, lines


def report(targets: Iterable[Target], runs: int) -> str:
    """Return what was missed, and how much of each room was reached."""
    reached = reached_lines(targets, runs)
    told: list[str] = []
    total: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for name, function, lines in _measured():
        room = name.partition("/")[0]
        missed = sorted(lines - reached.get(name, set()))
        total[room] += len(lines)
        left[room] += len(missed)
        if len(missed) == len(lines):
            told.append(f"{name}: {function}: never entered")
        elif missed:
            told.append(f"{name}: {function}: lines {', '.join(map(str, missed))}")
    for room in ROOMS:
        share = 100 * (1 - left[room] / total[room])
        told.append(f"{room}: {share:.1f} % of {total[room]} lines reached")
    return "\n".join(told)
