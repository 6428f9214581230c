"""A line of the client to a command. (RFC 3501 section 9)"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping

from zajil.imap import command as c
from zajil.imap.acl import ACL_PARSERS
from zajil.imap.fetch_item import Attribute, parse_fetch_items
from zajil.imap.flag import parse_flag_list, parse_flags
from zajil.imap.grammar import Scanner, bad
from zajil.imap.list_parse import LIST_PARSERS
from zajil.imap.metadata import METADATA_PARSERS
from zajil.imap.modifiers import (
    parse_fetch_modifiers,
    parse_select_parameters,
    parse_store_modifiers,
)
from zajil.imap.notify import NOTIFY_PARSERS
from zajil.imap.quota import parse_get_quota, parse_get_quota_root, parse_set_quota
from zajil.imap.search_command import (
    parse_multi_search,
    search_parser,
    sort_parser,
    thread_parser,
)
from zajil.imap.sequence_set import parse_sequence_set

# tag = 1*<any ASTRING-CHAR except "+">; a bound, because it is sent back.
_TAG = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff%*"\\+]{1,64}')
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


def parse_tag(data: bytes) -> bytes | None:
    """Return the tag a command begins with; ``None`` if there is none that can be sent back."""
    found = _TAG.match(data)
    if found is None or data[found.end() : found.end() + 1] not in (b" ", b""):
        return None
    return found[0]


def parse_command(data: bytes, position: int, *, utf8: bool = False) -> c.Command:
    """Parse one whole command.

    Args:
        data: lines and literals as they came, without the last CRLF.
        position: where the command's name begins, after tag and space.
        utf8: mailbox names are in UTF-8.

    Raises:
        BadSyntax: BAD for what the grammar does not have, NO for what it has and we refuse.
    """
    scanner = Scanner(data, position, utf8=utf8)
    word = scanner.keyword()
    uid = word == "UID"
    if uid:
        scanner.space()
        word = scanner.keyword()
    parse = (_UID_PARSERS if uid else _PARSERS).get(word)
    if parse is None:
        raise bad("unknown command")
    parsed = parse(scanner)
    scanner.end()
    return parsed


def decode_base64(text: bytes) -> bytes:
    """Decode one base64 argument of AUTHENTICATE.

    Raises:
        CommandError: BAD, not base64.
    """
    try:
        if not _BASE64.fullmatch(text):
            raise bad("not base64")
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise bad("not base64") from None


def _constant(value: c.Command) -> Callable[[Scanner], c.Command]:
    return lambda scanner: value


def _parse_id(scanner: Scanner) -> c.Command:
    scanner.space()
    if scanner.skip(b"NIL"):
        return c.Id()
    scanner.expect(b"(")
    fields: dict[str, str] = {}
    pairs = 0
    while not scanner.skip(b")"):
        if pairs:
            scanner.space()
        name = scanner.string().lower()
        scanner.space()
        fields[name] = scanner.nstring() or ""
        pairs += 1
        if pairs > 30:  # RFC 2971 section 3.3
            raise bad("too many fields")
    client = f"{fields.get('name', '')} {fields.get('version', '')}".strip()
    return c.Id("".join([one for one in client if " " <= one <= "~"])[:100])


def _parse_authenticate(scanner: Scanner) -> c.Command:
    scanner.space()
    mechanism = scanner.keyword()
    if scanner.at_end():
        return c.Authenticate(mechanism, None)
    scanner.space()
    if scanner.skip(b"="):
        return c.Authenticate(mechanism, b"")
    return c.Authenticate(mechanism, decode_base64(scanner.match(_BASE64, "base64")[0]))


def _parse_login(scanner: Scanner) -> c.Command:
    scanner.space()
    login = scanner.astring()
    scanner.space()
    return c.LoginCommand(login, scanner.astring())


def _parse_enable(scanner: Scanner) -> c.Command:
    scanner.space()
    extensions = [scanner.keyword()]
    while scanner.skip(b" "):
        extensions.append(scanner.keyword())
    return c.Enable(tuple(extensions))


def _parse_compress(scanner: Scanner) -> c.Command:
    scanner.space()
    return c.Compress(scanner.keyword())


def _with_mailbox(make: Callable[[str], c.Command]) -> Callable[[Scanner], c.Command]:
    def parse(scanner: Scanner) -> c.Command:
        scanner.space()
        return make(scanner.mailbox())

    return parse


def _select(*, read_only: bool) -> Callable[[Scanner], c.Command]:
    def parse(scanner: Scanner) -> c.Command:
        scanner.space()
        mailbox, given = scanner.mailbox_as_given()
        if not scanner.skip(b" "):
            return c.Select(mailbox, read_only, given=given)
        return c.Select(mailbox, read_only, *parse_select_parameters(scanner), given=given)

    return parse


def _parse_create(scanner: Scanner) -> c.Command:
    scanner.space()
    mailbox, given = scanner.mailbox_as_given()
    uses: list[str] = []
    if scanner.skip(b" "):  # RFC 6154 section 6
        scanner.expect(b"(USE (")
        while not scanner.skip(b"))"):
            if uses:
                scanner.space()
            uses.append(scanner.flag())
    return c.Create(mailbox, tuple(uses), given)


def _parse_delete(scanner: Scanner) -> c.Command:
    scanner.space()
    return c.Delete(*scanner.mailbox_as_given())


def _parse_rename(scanner: Scanner) -> c.Command:
    scanner.space()
    mailbox, given = scanner.mailbox_as_given()
    scanner.space()
    return c.Rename(mailbox, scanner.mailbox(), given)


def _parse_uid_expunge(scanner: Scanner) -> c.Command:
    scanner.space()
    return c.Expunge(parse_sequence_set(scanner))


def _fetch(uid: bool) -> Callable[[Scanner], c.Command]:
    def parse(scanner: Scanner) -> c.Command:
        scanner.space()
        numbers = parse_sequence_set(scanner)
        scanner.space()
        items = parse_fetch_items(scanner)
        adds_uid = uid and Attribute.UID not in items
        if adds_uid:
            items = (Attribute.UID, *items)
        if not scanner.skip(b" "):
            return c.Fetch(numbers=numbers, items=items, uid=uid, adds_uid=adds_uid)
        modifiers = parse_fetch_modifiers(scanner, uid=uid)
        if modifiers.changed_since is not None and Attribute.MODSEQ not in items:
            items = (*items, Attribute.MODSEQ)
        return c.Fetch(
            numbers=numbers,
            items=items,
            uid=uid,
            changed_since=modifiers.changed_since,
            vanished=modifiers.vanished,
            partial=modifiers.partial,
            adds_uid=adds_uid,
        )

    return parse


def _store(uid: bool) -> Callable[[Scanner], c.Command]:
    def parse(scanner: Scanner) -> c.Command:
        scanner.space()
        numbers = parse_sequence_set(scanner)
        scanner.space()
        unchanged_since = None
        if scanner.peek() == b"(":
            unchanged_since = parse_store_modifiers(scanner)
            scanner.space()
        mode = c.StoreMode.REPLACE
        if scanner.skip(b"+"):
            mode = c.StoreMode.ADD
        elif scanner.skip(b"-"):
            mode = c.StoreMode.REMOVE
        scanner.expect(b"FLAGS")
        silent = scanner.skip(b".SILENT")
        scanner.space()
        flags = parse_flag_list(scanner) if scanner.peek() == b"(" else parse_flags(scanner)
        return c.StoreCommand(numbers, mode, flags, silent, uid, unchanged_since)

    return parse


def _copy(move: bool, uid: bool) -> Callable[[Scanner], c.Command]:
    def parse(scanner: Scanner) -> c.Command:
        scanner.space()
        numbers = parse_sequence_set(scanner)
        scanner.space()
        return c.Copy(numbers, scanner.mailbox(), move, uid)

    return parse


_PARSERS: Mapping[str, Callable[[Scanner], c.Command]] = {
    "CAPABILITY": _constant(c.Capability()),
    "NOOP": _constant(c.NoopCommand()),
    "LOGOUT": _constant(c.Logout()),
    "ID": _parse_id,
    "STARTTLS": _constant(c.StartTlsCommand()),
    "AUTHENTICATE": _parse_authenticate,
    "LOGIN": _parse_login,
    "ENABLE": _parse_enable,
    "SELECT": _select(read_only=False),
    "EXAMINE": _select(read_only=True),
    "COMPRESS": _parse_compress,
    "UNAUTHENTICATE": _constant(c.Unauthenticate()),
    "CREATE": _parse_create,
    "DELETE": _parse_delete,
    "RENAME": _parse_rename,
    "SUBSCRIBE": _with_mailbox(lambda name: c.Subscribe(name, subscribed=True)),
    "UNSUBSCRIBE": _with_mailbox(lambda name: c.Subscribe(name, subscribed=False)),
    "NAMESPACE": _constant(c.Namespace()),
    "GETQUOTA": parse_get_quota,
    "GETQUOTAROOT": parse_get_quota_root,
    "SETQUOTA": parse_set_quota,
    "IDLE": _constant(c.Idle()),
    "CHECK": _constant(c.Check()),
    "CLOSE": _constant(c.Close()),
    "UNSELECT": _constant(c.Unselect()),
    "EXPUNGE": _constant(c.Expunge(None)),
    "SEARCH": search_parser(uid=False),
    "ESEARCH": parse_multi_search,
    "SORT": sort_parser(uid=False),
    "THREAD": thread_parser(uid=False),
    "FETCH": _fetch(uid=False),
    "STORE": _store(uid=False),
    "COPY": _copy(move=False, uid=False),
    "MOVE": _copy(move=True, uid=False),
    **ACL_PARSERS,
    **LIST_PARSERS,
    **METADATA_PARSERS,
    **NOTIFY_PARSERS,
}
COMMANDS = frozenset((*_PARSERS, "UID", "APPEND", "REPLACE"))
"""Names of all commands that are understood."""
_UID_PARSERS: Mapping[str, Callable[[Scanner], c.Command]] = {
    "EXPUNGE": _parse_uid_expunge,
    "SEARCH": search_parser(uid=True),
    "SORT": sort_parser(uid=True),
    "THREAD": thread_parser(uid=True),
    "FETCH": _fetch(uid=True),
    "STORE": _store(uid=True),
    "COPY": _copy(move=False, uid=True),
    "MOVE": _copy(move=True, uid=True),
}
