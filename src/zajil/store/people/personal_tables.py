"""What each table means for one person: what is erased, exported, and restored from a backup.

A table that is not named in ``TABLES`` fails a test, so whoever adds one decides it.
"""

from __future__ import annotations

from enum import Enum

from zajil.core.value_class import value_class


class Erase(Enum):
    """What becomes of the rows of a person that is erased."""

    ACCOUNT = "removed with the account"
    TRACES = "removed, or the person is taken out"
    STAYS = "stays"
    NOBODY = "says nothing about a person"


class Restore(Enum):
    """What of an account that is gone is restored from a backup."""

    ROWS = "its rows, as they were"
    OWN_WAY = "by code of its own"
    NOT = "nothing"


@value_class(frozen=True, slots=True)
class Treatment:
    """What a table means for one person."""

    erase: Erase
    export: str = ""
    """File or folder of ``account export`` that shows it; ``""``: none."""
    restore: Restore = Restore.NOT
    reset: tuple[tuple[str, object], ...] = ()
    """Columns that get another value when rows are restored."""
    why: str = ""
    """Of what stays, or is not exported: why."""


_MADE_AGAIN = "the server makes it again from the messages"
_PROOF = "a secret that proves who somebody is, and says nothing about the person"
_SHORT = "it is kept for minutes, or until a session ends"
_NO_VOICE = (
    ("junked_voice", 0.0),
    ("kept_voice", 0.0),
    ("written_voice", 0.0),
    ("seen_voice", 0.0),
)
_NOT_SHARED = (("shared_junk", 0), ("shared_ham", 0))
_NOBODY = Treatment(Erase.NOBODY)

TABLES: dict[str, Treatment] = {
    # ---- the account ----
    "account": Treatment(Erase.ACCOUNT, "account.json", Restore.OWN_WAY),
    "address": Treatment(Erase.ACCOUNT, "account.json", Restore.OWN_WAY),
    "identity": Treatment(Erase.ACCOUNT, "logins.json", Restore.ROWS),
    "domain_admin": Treatment(Erase.ACCOUNT, "account.json", Restore.OWN_WAY),
    "directory_state": _NOBODY,
    "delegation": Treatment(Erase.ACCOUNT, "account.json", Restore.OWN_WAY),
    "account_setting": Treatment(Erase.ACCOUNT, "settings.json", Restore.ROWS),
    "contact": Treatment(Erase.ACCOUNT, "contacts.vcf", Restore.ROWS),
    "written_to": Treatment(Erase.ACCOUNT, "correspondents.json", Restore.ROWS),
    # ---- log-ins ----
    "last_login": Treatment(Erase.ACCOUNT, "logins.json", Restore.ROWS),
    "web_session": Treatment(Erase.ACCOUNT, "logins.json"),
    "app_password": Treatment(Erase.ACCOUNT, "logins.json", Restore.OWN_WAY),
    "scram_key": Treatment(Erase.ACCOUNT, "", Restore.OWN_WAY, why=_PROOF),
    "totp": Treatment(Erase.ACCOUNT, "logins.json", Restore.ROWS),
    "recovery_code": Treatment(Erase.ACCOUNT, "", Restore.ROWS, why=_PROOF),
    "passkey": Treatment(Erase.ACCOUNT, "logins.json", Restore.ROWS),
    "code_failure": Treatment(Erase.ACCOUNT, why=_SHORT),
    "push_subscription": Treatment(Erase.ACCOUNT, "logins.json"),
    "login_failure": Treatment(Erase.STAYS, why="it counts networks, whoever used them; a day"),
    # ---- mail ----
    "mailbox": Treatment(Erase.ACCOUNT, "mail", Restore.OWN_WAY),
    "mailbox_right": Treatment(Erase.ACCOUNT, "mailboxes.json", Restore.OWN_WAY),
    "annotation": Treatment(Erase.ACCOUNT, "mailboxes.json", Restore.OWN_WAY),
    "subscription": Treatment(Erase.ACCOUNT, "mailboxes.json", Restore.ROWS),
    "message": Treatment(Erase.ACCOUNT, "mail", Restore.OWN_WAY),
    "deleted_message": Treatment(Erase.ACCOUNT, "deleted"),
    "blob": Treatment(
        Erase.ACCOUNT, "mail", Restore.OWN_WAY, why="what others have as well stays theirs"
    ),
    "blob_garbage": Treatment(
        Erase.STAYS, why="the bytes of a deleted message are removed some minutes later"
    ),
    "blob_key": _NOBODY,
    "blob_place": _NOBODY,
    "backup_hold": _NOBODY,
    "backup_run": _NOBODY,
    "content_check": _NOBODY,
    "schema_upgrade": _NOBODY,
    "held_blob": Treatment(
        Erase.STAYS, why="a deleted message that a backup still reads is removed when it has ended"
    ),
    "summary": Treatment(Erase.ACCOUNT, why=_MADE_AGAIN),
    "thread_link": Treatment(Erase.ACCOUNT, "", Restore.OWN_WAY, why="numbers without a text"),
    "text_segment": Treatment(Erase.ACCOUNT, why=_MADE_AGAIN),
    "text_block": Treatment(Erase.ACCOUNT, why=_MADE_AGAIN),
    "kept_block": Treatment(Erase.ACCOUNT, why=_MADE_AGAIN),
    "maildrop": Treatment(Erase.ACCOUNT, why=_MADE_AGAIN),
    "maildrop_open_end": Treatment(Erase.ACCOUNT, why=_MADE_AGAIN),
    "expunged": Treatment(Erase.ACCOUNT, why="numbers of messages that are gone"),
    "imported": Treatment(Erase.ACCOUNT, "mailboxes.json", Restore.ROWS),
    # ---- what was learned; what others' filters learned of the person's address goes as well ----
    "training": Treatment(Erase.ACCOUNT, why=_SHORT),
    "trained": Treatment(Erase.ACCOUNT, "learned.json", Restore.ROWS, (("is_shared", False),)),
    "word_model": Treatment(Erase.ACCOUNT, "learned.json", Restore.ROWS, _NOT_SHARED),
    "word": Treatment(Erase.ACCOUNT, "learned.json", Restore.ROWS, _NOT_SHARED),
    "reputation": Treatment(Erase.ACCOUNT, "learned.json", Restore.ROWS, _NO_VOICE),
    "send_count": Treatment(Erase.ACCOUNT, "learned.json"),
    "stranger_count": Treatment(Erase.ACCOUNT, "learned.json", Restore.ROWS),
    # ---- traces ----
    "mail": Treatment(Erase.TRACES, "journeys.json", why="what still waits is sent first"),
    "recipient": Treatment(Erase.TRACES, "journeys.json", why="what still waits is sent first"),
    "event": Treatment(Erase.TRACES, "journeys.json"),
    "audit": Treatment(Erase.TRACES, "audit.json"),
    # ---- about nobody, or about other servers ----
    "domain": _NOBODY,
    "secret": _NOBODY,
    "dkim_key": _NOBODY,
    "report_interval": _NOBODY,
    "report_interval_row": _NOBODY,
    "traffic": _NOBODY,
    "dmarc_report": _NOBODY,
    "dmarc_report_row": _NOBODY,
    "dmarc_report_mail": _NOBODY,
    "greylist": Treatment(Erase.NOBODY, why="networks and domains, no addresses"),
    "sender_logo": _NOBODY,
    "acme_account": _NOBODY,
    "host_key": _NOBODY,
    "host_certificate": _NOBODY,
    "acme_challenge": _NOBODY,
    "sts_policy": _NOBODY,
    "chore": _NOBODY,
    "alert": Treatment(Erase.STAYS, why="it names a domain or the server, and ends with its cause"),
    "readiness": _NOBODY,
    "node": _NOBODY,
    "schema_floor": _NOBODY,
    "counter": _NOBODY,
    "shard": _NOBODY,
    "shard_place": Treatment(Erase.STAYS, why="it says where an address is, and ends with a move"),
    "shard_move": Treatment(Erase.STAYS, why="it ends with the move"),
}
"""By the name of the table."""
