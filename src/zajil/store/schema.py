"""Every table, once, for SQLite and PostgreSQL alike: one list, so one file, long as it is.

Laws:
- A change here comes with a migration in ``store/migrations``; a test compares the two.
- Ids that are text (``core.ids``) sort by time, so that new rows land at one end of an index.
- Few indexes: each one that is not at that end costs a page write for every mail.
- No foreign keys: units lock what they refer to (``mailbox`` rows, ``blobs.keep``) instead.
- Times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Bytewise order on both: ids are compared, never shown sorted to a person, and the collation of
# a PostgreSQL database may change under an index.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Type of ids and lookup keys."""

# Only a column of type INTEGER numbers its rows by itself in SQLite.
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Type of numbers that may pass 2**31."""

domain = sa.Table(
    "domain",
    metadata,
    sa.Column("ascii_name", KEY, primary_key=True),
    sa.Column("created_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("login", KEY, nullable=False, unique=True),  # ASCII, lower case
    sa.Column("address", sa.Text, nullable=False),  # wire form of its own address
    sa.Column("address_key", KEY, nullable=False),  # Address.key, also in table address
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_ms", NUMBER, nullable=False),
    sa.Column("forward_to", sa.Text),  # JSON array of wire forms; null: its mail is not forwarded
    sa.Column("keeps_copy", sa.Boolean),  # of what is forwarded; null: it is not forwarded
    # Limits of what it keeps (store.mail.room); null: those of the configuration; 0: none
    sa.Column("quota_size", NUMBER),  # bytes
    sa.Column("quota_messages", NUMBER),
    sa.Column("quota_told", sa.Integer, nullable=False, server_default=sa.text("0")),  # percent
    # Sums of table deleted_message, changed with its rows in one transaction
    sa.Column("deleted_messages", NUMBER, nullable=False, server_default=sa.text("0")),
    sa.Column("deleted_size", NUMBER, nullable=False, server_default=sa.text("0")),
    sqlite_autoincrement=True,  # an id of a deleted account never comes back
)

# When, how and from where each account logged in last; kept apart, because it changes often.
last_login = sa.Table(
    "last_login",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("at_ms", NUMBER, nullable=False),  # to the minute
    sa.Column("service", KEY, nullable=False),  # the listener: imaps, submission, web ...
    sa.Column("peer", KEY, nullable=False),  # IP address
    sqlite_with_rowid=False,
)

# Who an account is elsewhere: in the directory of an organisation, at a provider of log-ins.
identity = sa.Table(
    "identity",
    metadata,
    sa.Column("source", KEY, primary_key=True),  # "ldap", or the address of an OpenID provider
    sa.Column("subject", KEY, primary_key=True),  # what names the person there, for ever
    sa.Column("account_id", NUMBER, nullable=False, index=True),
    sa.Column("aliases", sa.Text, nullable=False),  # JSON array: wire forms that come from there
    sa.Column("suspended", sa.Boolean, nullable=False),  # by the source, not by an operator
    sa.Column("created_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# Accounts that may change what belongs to a domain.
domain_admin = sa.Table(
    "domain_admin",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("domain", KEY, primary_key=True, index=True),  # ASCII name
    sqlite_with_rowid=False,
)

# What became of the last comparison with each source of identities.
directory_state = sa.Table(
    "directory_state",
    metadata,
    sa.Column("source", KEY, primary_key=True),
    sa.Column("tried_ms", NUMBER, nullable=False),
    sa.Column("done_ms", NUMBER, nullable=False),  # of the last one that was done; 0: none was
    sa.Column("problem", KEY, nullable=False),  # "", "unavailable", "losses"
    sa.Column("reason", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# The directory: who an address is. Accounts' own addresses and aliases, one row each.
address = sa.Table(
    "address",
    metadata,
    sa.Column("key", KEY, primary_key=True),  # Address.key
    sa.Column("address", sa.Text, nullable=False),  # wire form
    sa.Column("domain", KEY, nullable=False, index=True),  # ASCII name
    sa.Column("account_id", NUMBER, index=True),  # null: an alias
    sa.Column("targets", sa.Text),  # JSON array of wire forms; null: an account's own address
    sqlite_with_rowid=False,
)

mailbox = sa.Table(
    "mailbox",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("account_id", NUMBER, nullable=False),
    sa.Column("name", KEY, nullable=False),  # NFC, levels divided by "/"; INBOX in capitals
    # inbox, drafts, sent, junk, trash, archive (RFC 6154 section 2, without the backslash)
    sa.Column("role", KEY),
    sa.Column("uid_validity", NUMBER, nullable=False),
    sa.Column("uid_next", NUMBER, nullable=False),  # starts at 1
    sa.Column("modseq", NUMBER, nullable=False),  # highest given so far; starts at 1
    sa.Column("recent_from", NUMBER, nullable=False, server_default=sa.text("1")),  # store.recent
    # What it holds, changed with its rows in one transaction (store.mail.usage)
    sa.Column("messages", NUMBER, nullable=False, server_default=sa.text("0")),
    sa.Column("size", NUMBER, nullable=False, server_default=sa.text("0")),  # bytes
    # Expunges up to this MODSEQ may be forgotten (store.mail.vanished)
    sa.Column("forgotten_modseq", NUMBER, nullable=False, server_default=sa.text("0")),
    sa.UniqueConstraint("account_id", "name"),
    sa.UniqueConstraint("account_id", "role"),  # rows without a role do not collide
    sqlite_autoincrement=True,  # a reader may still follow the id of a deleted mailbox
)

# What accounts may do with mailboxes of others (RFC 4314); the owner has no row.
mailbox_right = sa.Table(
    "mailbox_right",
    metadata,
    sa.Column("mailbox_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False, index=True),  # 0: anyone
    sa.Column("rights", KEY, nullable=False),  # letters, never empty: core.mailbox_rights
    sqlite_with_rowid=False,
)

# Annotations (RFC 5464) of mailboxes and the server.
annotation = sa.Table(
    "annotation",
    metadata,
    sa.Column("mailbox_id", NUMBER, primary_key=True, autoincrement=False),  # 0: the server
    # Whose private one it is; 0: everybody's
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False, index=True),
    sa.Column("entry", KEY, primary_key=True),  # lower case
    sa.Column("value", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

subscription = sa.Table(
    "subscription",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("name", KEY, primary_key=True),  # in the form of mailbox.name; none may have it
    sqlite_with_rowid=False,
)

message = sa.Table(
    "message",
    metadata,
    sa.Column("mailbox_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("uid", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("modseq", NUMBER, nullable=False),
    sa.Column("flags", sa.Integer, nullable=False),  # bits of system flags: store.flags
    sa.Column("keywords", sa.Text, nullable=False),  # sorted, divided by a space
    sa.Column("received_at_ms", NUMBER, nullable=False),  # INTERNALDATE
    sa.Column("size", NUMBER, nullable=False),  # prefix and blob together
    sa.Column("blob_id", KEY, nullable=False, index=True),
    sa.Column("mail_id", KEY),  # null: came by APPEND
    # Return-Path and Delivered-To, CRLF after each; what a reader sees is prefix + blob
    sa.Column("prefix", sa.Text, nullable=False),
    # THREADID (RFC 8474 section 5.2), given by the indexer once and for ever; null: not yet
    sa.Column("thread_id", KEY),
    # Whether its words are in the index of its account: store.mail.text_index.Indexed
    sa.Column("indexed", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    # When a client put it there (RFC 8514); null: it was delivered, at received_at_ms
    sa.Column("saved_at_ms", NUMBER),
    # Of Trash, Junk, Archive: where it came from, a mailbox that may be gone; null: not known
    sa.Column("origin_id", NUMBER),
    sa.Index(None, "mailbox_id", "modseq"),
    sqlite_with_rowid=False,
)

# INBOX as POP3 sees it: who has it now, and what is known of its messages.
maildrop = sa.Table(
    "maildrop",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("holder", KEY, nullable=False),  # node and worker; "": nobody
    sa.Column("token", KEY, nullable=False),  # of the session that has it; "": none has
    sa.Column("until_ms", NUMBER, nullable=False),  # the session has it until then
    sa.Column("examined_uid", NUMBER, nullable=False),  # maildrop_open_end is true up to this UID
    sqlite_with_rowid=False,
)

# Messages of INBOX whose last line has no end: POP3 sends two octets more than their size.
maildrop_open_end = sa.Table(
    "maildrop_open_end",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("uid", NUMBER, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# What a client that comes back must forget (RFC 7162 section 3.2.10: VANISHED).
expunged = sa.Table(
    "expunged",
    metadata,
    sa.Column("mailbox_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("modseq", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("uid", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("at_ms", NUMBER, nullable=False, server_default=sa.text("0")),
    sqlite_with_rowid=False,
)

# What was expunged and can still be taken back (store.mail.deleted). Ids grow with time.
deleted_message = sa.Table(
    "deleted_message",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("account_id", NUMBER, nullable=False),
    sa.Column("mailbox_id", NUMBER, nullable=False),  # it may be gone, too
    sa.Column("mailbox", KEY, nullable=False),  # its name then
    sa.Column("deleted_ms", NUMBER, nullable=False),
    # As in table message
    sa.Column("uid", NUMBER, nullable=False),
    sa.Column("flags", sa.Integer, nullable=False),
    sa.Column("keywords", sa.Text, nullable=False),
    sa.Column("received_at_ms", NUMBER, nullable=False),
    sa.Column("size", NUMBER, nullable=False),
    sa.Column("blob_id", KEY, nullable=False, index=True),
    sa.Column("mail_id", KEY),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("thread_id", KEY),
    sa.Index(None, "account_id", "id"),
    sqlite_autoincrement=True,
)

# What was moved in from elsewhere (store.mail.imported), so that it comes once.
imported = sa.Table(
    "imported",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("source", KEY, primary_key=True),  # a folder, an account elsewhere
    sa.Column("mailbox", KEY, primary_key=True),  # its name there
    sa.Column("key", KEY, primary_key=True),  # of the message, in that mailbox
    sa.Column("blob_id", KEY, nullable=False),  # that it got here; it may be gone
    sa.Column("digest", KEY, nullable=False),  # of its bytes, in hex
    sa.Index(None, "account_id", "digest"),
    sqlite_with_rowid=False,
)

# The bytes of one message, shared by its copies. With a rowid: long rows make a poor tree.
blob = sa.Table(
    "blob",
    metadata,
    sa.Column("id", KEY, primary_key=True),
    sa.Column("size", NUMBER, nullable=False),
    sa.Column("content", sa.LargeBinary),  # null: in a file or in S3
    sa.Column("location", sa.Text),  # store.blobs.location; null: content is here
    # SHA-256 of the bytes; null: written by an older version, and not computed yet
    sa.Column("digest", sa.LargeBinary),
)

# Bytes that no row names any more, and that are deleted some minutes later (store.blobs.garbage).
blob_garbage = sa.Table(
    "blob_garbage",
    metadata,
    sa.Column("location", KEY, primary_key=True),
    sa.Column("since_ms", NUMBER, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# Keys that messages were encrypted with (store.blobs.keys).
blob_key = sa.Table(
    "blob_key",
    metadata,
    sa.Column("id", KEY, primary_key=True),
    sa.Column("since_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# Prefixes in S3, and what the object there says that marks them as this store's
# (store.blobs.garbage).
blob_place = sa.Table(
    "blob_place",
    metadata,
    sa.Column("place", KEY, primary_key=True),
    sa.Column("mark", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# What the last checks found: of each seventh of the messages, and of the rows
# (store.engine.check_results).
content_check = sa.Table(
    "content_check",
    metadata,
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),  # 7: the rows
    sa.Column("at_ms", NUMBER, nullable=False),
    sa.Column("blobs", NUMBER, nullable=False),  # that were read; of the rows, faults
    sa.Column("bytes", NUMBER, nullable=False),
    sa.Column("damaged", sa.Text, nullable=False),  # JSON array: ids of blobs, or sentences
    sqlite_with_rowid=False,
)

# Backups that run: until then nothing is deleted that they may still have to read.
backup_hold = sa.Table(
    "backup_hold",
    metadata,
    sa.Column("id", KEY, primary_key=True),
    sa.Column("until_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# Blobs without a reference that are kept for backups (store.backup.hold).
held_blob = sa.Table(
    "held_blob",
    metadata,
    sa.Column("blob_id", KEY, primary_key=True),
    sqlite_with_rowid=False,
)

# What became of the last backups to each target (store.backup.runs).
backup_run = sa.Table(
    "backup_run",
    metadata,
    sa.Column("place", KEY, primary_key=True),
    sa.Column("tried_ms", NUMBER, nullable=False),
    sa.Column("done_ms", NUMBER),  # the last complete backup is of this time; null: none
    sa.Column("snapshot", sa.Text, nullable=False),  # its name
    sa.Column("left_out", sa.Integer, nullable=False),  # what is missing in it
    sa.Column("error", sa.Text, nullable=False),  # why the last attempt failed; "": it did not
    sqlite_with_rowid=False,
)

# What lists and IMAP need of a message without its bytes (message.summary). It goes with the blob.
summary = sa.Table(
    "summary",
    metadata,
    sa.Column("blob_id", KEY, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),  # store.mail.summaries.VERSION
    sa.Column("tries", sa.Integer, nullable=False),  # that ended with the death of the program
    sa.Column("fault", sa.Text, nullable=False),  # why it could not be read; "": it was read
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("base_subject", sa.Text, nullable=False),
    sa.Column("people", sa.Text, nullable=False),  # JSON: From, To and Cc
    sa.Column("date_ms", NUMBER),  # the Date field
    sa.Column("preview", sa.Text, nullable=False),
    sa.Column("has_attachments", sa.Boolean, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("reference_ids", sa.Text, nullable=False),  # divided by spaces
    # As FETCH sends them; null: too long to be kept, or they depend on what is in front of the blob
    sa.Column("envelope", sa.LargeBinary),
    sa.Column("body", sa.LargeBinary),
    sa.Column("body_structure", sa.LargeBinary),
)

# Which thread a message of an account joins: by what it has in common with others.
thread_link = sa.Table(
    "thread_link",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("key", NUMBER, primary_key=True, autoincrement=False),  # message.summary.thread_keys
    sa.Column("thread_id", KEY, nullable=False),
    sqlite_with_rowid=False,
)

# The index of words of an account: a part of it, for some blobs (store.mail.text_index).
text_segment = sa.Table(
    "text_segment",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("account_id", NUMBER, nullable=False, index=True),
    sa.Column("messages", sa.Integer, nullable=False),  # blobs
    sa.Column("blob_ids", sa.LargeBinary, nullable=False),  # compressed, in order
    sqlite_autoincrement=True,  # an id that a merge has read never means another segment
)

# Words of a segment, and which of its blobs have them (message.word_blocks).
text_block = sa.Table(
    "text_block",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("segment_id", NUMBER, nullable=False, index=True),
    sa.Column("first_word", sa.LargeBinary, nullable=False),
    sa.Column("last_word", sa.LargeBinary, nullable=False),
    sa.Column("words", sa.LargeBinary, nullable=False),
    sa.Column("numbers", sa.LargeBinary, nullable=False),
)

# What was made of the headers of many messages, to be read again quickly (store.mail.kept_blocks).
kept_block = sa.Table(
    "kept_block",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("mailbox_id", NUMBER, nullable=False),
    sa.Column("number", NUMBER, nullable=False),  # UIDs without their lowest bits
    sa.Column("kind", sa.LargeBinary, nullable=False),  # behind its version
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("mailbox_id", "number", "kind"),
)

mail = sa.Table(
    "mail",
    metadata,
    sa.Column("id", KEY, primary_key=True),
    sa.Column("parent_mail_id", KEY),  # of a DSN: the mail it reports on
    sa.Column("session_id", KEY),
    sa.Column("account_id", NUMBER),  # who submitted it; null: it came from outside
    sa.Column("at_ms", NUMBER, nullable=False),
    sa.Column("reverse_path", sa.Text),  # wire form; null: the null path
    sa.Column("from_key", KEY),  # Address.key of reverse_path
    sa.Column("header_from", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("size", NUMBER, nullable=False),  # of the blob
    # What the queue sends; null: no copy waits (local copies hold their own reference).
    sa.Column("blob_id", KEY),
    sa.Column("needs_smtputf8", sa.Boolean, nullable=False),
    # MailOptions; null: not asked for
    sa.Column("dsn_return", KEY),  # FULL, HDRS
    sa.Column("envelope_id", sa.Text),
    sa.Column("require_tls", sa.Boolean),
    # Its events up to its acceptance: tracking.packing; null: they are in table event
    sa.Column("events", sa.LargeBinary),
    sqlite_with_rowid=False,
)

# Queue and history in one (decision 0001): the queue is the partial index over waiting rows.
recipient = sa.Table(
    "recipient",
    metadata,
    sa.Column("mail_id", KEY, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("address", sa.Text, nullable=False),  # wire form
    sa.Column("address_key", KEY, nullable=False),
    # waiting, held, delivered, bounced, refused, expired, discarded
    sa.Column("state", KEY, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),  # a sentence for a person
    sa.Column("at_ms", NUMBER, nullable=False),  # when the mail was accepted; never changes
    sa.Column("account_id", NUMBER),  # whose copy it is; null: not ours
    sa.Column("mailbox", sa.Text),  # name of the mailbox it was filed into
    sa.Column("next_hop", KEY),  # ASCII domain; null: local (it may wait all the same) or refused
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_ms", NUMBER),
    sa.Column("expires_ms", NUMBER),
    sa.Column("lease_owner", KEY),  # worker that tries it now
    sa.Column("lease_token", KEY),  # demanded by settle: a lost lease cannot write
    sa.Column("lease_until_ms", NUMBER),
    # RecipientOptions; null: not asked for
    sa.Column("notify", sa.Integer),  # core.envelope.Notify
    sa.Column("original_recipient", sa.Text),
    # Wire form of what the sender named, where that is an alias; null: it is address
    sa.Column("addressed_as", sa.Text),
    sa.Column("addressed_key", KEY),  # Address.key of addressed_as
    sa.Column("warned_ms", NUMBER),  # when the sender was told of the delay; null: not yet
    sa.Index("ix_recipient_address_key", "address_key", "at_ms"),
    sqlite_with_rowid=False,
)

# All events of one transaction about one mail (or one session) are one row, but for those that are
# committed with the acceptance of a mail: they are in its own row.
event = sa.Table(
    "event",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("mail_id", KEY),
    sa.Column("session_id", KEY),
    sa.Column("at_ms", NUMBER, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # tracking.codec
)

# Changes of the server's state by operators and users: `zajil audit`. It outlives its account.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("at_ms", NUMBER, nullable=False, index=True),
    sa.Column("actor", KEY, nullable=False),
    sa.Column("account_id", NUMBER),  # that was changed
    sa.Column("subject", KEY, nullable=False),  # login name, address key or domain
    sa.Column("body", sa.Text, nullable=False),  # tracking.codec
    sa.Index("ix_audit_actor", "actor", "at_ms"),
    sa.Index("ix_audit_subject", "subject", "at_ms"),
)

# What people chose for their accounts; what a name means is known above the store.
account_setting = sa.Table(
    "account_setting",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("name", KEY, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# Address books; a contact that is deleted stays for some days.
contact = sa.Table(
    "contact",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("account_id", NUMBER, nullable=False),
    sa.Column("uid", KEY, nullable=False),  # of its vCard
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sort_key", KEY, nullable=False),  # name as it is compared
    sa.Column("emails", sa.Text, nullable=False),  # JSON arrays
    sa.Column("phones", sa.Text, nullable=False),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("groups", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),  # by which completion finds it
    sa.Column("photo_type", sa.Text, nullable=False),  # empty: there is no photo
    sa.Column("photo", sa.LargeBinary),
    sa.Column("deleted_ms", NUMBER),  # null: it is not deleted
    sa.UniqueConstraint("account_id", "uid"),
)

# Whom an account wrote to, for completion
written_to = sa.Table(
    "written_to",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("address_key", KEY, primary_key=True),  # as it is compared
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("times", NUMBER, nullable=False),
    sa.Column("last_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

web_session = sa.Table(
    "web_session",
    metadata,
    sa.Column("token_hash", KEY, primary_key=True),  # SHA-256 in hex of the cookie's token
    sa.Column("account_id", NUMBER, nullable=False, index=True),
    sa.Column("csrf", sa.Text, nullable=False),
    sa.Column("created_ms", NUMBER, nullable=False),
    sa.Column("expires_ms", NUMBER, nullable=False),
    sa.Column("peer", KEY, nullable=False, server_default=sa.text("''")),  # IP address
    sa.Column("agent", sa.Text, nullable=False, server_default=sa.text("''")),  # User-Agent
    sa.Column("used_ms", NUMBER, nullable=False, server_default=sa.text("0")),  # to five minutes
    sqlite_with_rowid=False,
)

app_password = sa.Table(
    "app_password",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("account_id", NUMBER, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # the owner's word for it
    sa.Column("scope", KEY, nullable=False),  # core.app_password.Scope
    sa.Column("label", KEY, nullable=False),  # its first group, which is no secret
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("created_ms", NUMBER, nullable=False),
    sa.Column("last_used_ms", NUMBER),  # to the hour; null: never
    sa.UniqueConstraint("account_id", "name"),
    sa.UniqueConstraint("account_id", "label"),
    sqlite_autoincrement=True,  # an open session may still hold the id of a deleted one
)

# What SCRAM needs of an app password, once for each name its owner may type: the salt belongs to
# the name, so that it tells nobody whether the name exists.
scram_key = sa.Table(
    "scram_key",
    metadata,
    sa.Column("login", KEY, primary_key=True),  # core.login_name.prepare_login
    sa.Column("app_password_id", NUMBER, primary_key=True, autoincrement=False, index=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("iterations", sa.Integer, nullable=False),
    sa.Column("stored_key", sa.LargeBinary, nullable=False),
    sa.Column("server_key", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Second factors of log-ins with a browser (store.people.second_factors)
totp = sa.Table(
    "totp",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("secret", KEY, nullable=False),  # base32
    sa.Column("last_step", NUMBER, nullable=False),  # time step of the last code that was used
    sa.Column("created_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

recovery_code = sa.Table(
    "recovery_code",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("code_hash", KEY, primary_key=True),  # SHA-256 in hex
    sqlite_with_rowid=False,
)

passkey = sa.Table(
    "passkey",
    metadata,
    sa.Column("credential_id", KEY, primary_key=True),  # base64url without padding
    sa.Column("account_id", NUMBER, nullable=False, index=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),  # COSE
    sa.Column("sign_count", NUMBER, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # the owner's word for it
    sa.Column("created_ms", NUMBER, nullable=False),
    sa.Column("used_ms", NUMBER),  # null: never
    sa.Column("last_challenge", KEY, nullable=False),  # that it signed: each is good once
    sqlite_with_rowid=False,
)

# Browsers that are told of new mail, as long as they are logged in (RFC 8030)
push_subscription = sa.Table(
    "push_subscription",
    metadata,
    sa.Column("id", KEY, primary_key=True),  # SHA-256 in hex of the endpoint
    sa.Column("account_id", NUMBER, nullable=False, index=True),
    sa.Column("token_hash", KEY, nullable=False),  # web_session.token_hash
    sa.Column("endpoint", sa.Text, nullable=False),  # URL of its push service
    sa.Column("public_key", sa.LargeBinary, nullable=False),  # P-256 point, uncompressed
    sa.Column("auth", sa.LargeBinary, nullable=False),  # 16 bytes
    sa.Column("language", KEY, nullable=False),  # of the notifications
    sa.Column("told_uid", NUMBER, nullable=False),  # INBOX: it was told of all before this UID
    sa.Column("failures", sa.Integer, nullable=False),  # in a row
    sqlite_with_rowid=False,
)

# Wrong codes of an account whose password was right
code_failure = sa.Table(
    "code_failure",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("since_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# Failed log-ins of each network, so that all workers slow the same peers down.
login_failure = sa.Table(
    "login_failure",
    metadata,
    sa.Column("network", KEY, primary_key=True),  # IPv4 address or IPv6 /64
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_ms", NUMBER, nullable=False),
    # When an operator forgot the failures before; 0: never
    sa.Column("released_ms", NUMBER, nullable=False, server_default=sa.text("0")),
    sqlite_with_rowid=False,
)

# Random bytes that all workers share; made with the table.
secret = sa.Table(
    "secret",
    metadata,
    sa.Column("name", KEY, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Who may send as an address that is not its own: the owner lets another write in its name.
delegation = sa.Table(
    "delegation",
    metadata,
    sa.Column("address_key", KEY, primary_key=True),  # Address.key, also in table address
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False, index=True),
    sqlite_with_rowid=False,
)

# Signing keys of our domains (RFC 6376), and what became of each.
dkim_key = sa.Table(
    "dkim_key",
    metadata,
    sa.Column("domain", KEY, primary_key=True),  # ASCII name
    sa.Column("selector", KEY, primary_key=True),
    sa.Column("algorithm", KEY, nullable=False),  # rsa-sha256, ed25519-sha256
    sa.Column("state", KEY, nullable=False),  # published, active, retired, revoked
    sa.Column("private_key", sa.LargeBinary),  # PKCS #8 in DER; null: revoked, and erased
    sa.Column("public_key", sa.LargeBinary, nullable=False),  # what stands in p=, before base64
    sa.Column("created_ms", NUMBER, nullable=False),
    sa.Column("found_ms", NUMBER),  # since when its record is in DNS; null: not seen yet
    sa.Column("activated_ms", NUMBER),
    sa.Column("retired_ms", NUMBER),
    sa.Column("revoked_ms", NUMBER),
    sqlite_with_rowid=False,
)

# What is counted for reports to others (RFC 9990), by domain; one row, and one report, for each
# interval.
report_interval = sa.Table(
    "report_interval",
    metadata,
    sa.Column("kind", KEY, primary_key=True),  # of report: dmarc
    sa.Column("domain", KEY, primary_key=True),  # ASCII
    sa.Column("begin_ms", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("end_ms", NUMBER, nullable=False),
    sa.Column("details", sa.Text, nullable=False),  # JSON of reports: policy, where reports go
    sa.Column("lease_until_ms", NUMBER, nullable=False),  # a worker makes its report until then
    sa.Column("done_ms", NUMBER),  # when it was reported, or given up; null: it is open
    sa.Column("outcome", sa.Text, nullable=False),  # a sentence for a person
    sqlite_with_rowid=False,
)

report_interval_row = sa.Table(
    "report_interval_row",
    metadata,
    sa.Column("kind", KEY, primary_key=True),
    sa.Column("domain", KEY, primary_key=True),
    sa.Column("begin_ms", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("digest", KEY, primary_key=True),  # of content
    sa.Column("content", sa.Text, nullable=False),  # JSON of reports, without the count
    sa.Column("count", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# What happened in each minute: some figures, added up by all workers (store.reports.traffic).
traffic = sa.Table(
    "traffic",
    metadata,
    sa.Column("minute", NUMBER, primary_key=True, autoincrement=False),  # since 1970 UTC
    sa.Column("name", KEY, primary_key=True),  # tracking.traffic.Figure
    sa.Column("count", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# Reports of others about our domains: aggregate ones (RFC 9990) and of failures (RFC 9991).
dmarc_report = sa.Table(
    "dmarc_report",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("kind", KEY, nullable=False),  # aggregate, failure
    sa.Column("domain", KEY, nullable=False),  # ours, ASCII
    sa.Column("sender", KEY, nullable=False),  # domain that mailed it; "": read from a file
    sa.Column("report_id", KEY, nullable=False),  # of a failure: a digest of what it says
    sa.Column("is_proven", sa.Boolean, nullable=False),  # its mail passed DMARC
    sa.Column("organization", sa.Text, nullable=False),
    sa.Column("begin_ms", NUMBER, nullable=False),
    sa.Column("end_ms", NUMBER, nullable=False),
    sa.Column("received_ms", NUMBER, nullable=False, index=True),
    sa.Column("mail_id", KEY),
    sa.Column("messages", NUMBER, nullable=False),
    sa.Column("passed", NUMBER, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON: all but the rows
    # A forged report must not stand in the way of the true one.
    sa.UniqueConstraint("kind", "domain", "sender", "report_id", "is_proven"),
    sqlite_autoincrement=True,
)

dmarc_report_row = sa.Table(
    "dmarc_report_row",
    metadata,
    sa.Column("report", NUMBER, primary_key=True, autoincrement=False),  # dmarc_report.id
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source_ip", KEY, nullable=False),
    sa.Column("header_from", KEY, nullable=False),
    sa.Column("count", NUMBER, nullable=False),
    sa.Column("disposition", KEY, nullable=False),
    sa.Column("dkim", KEY, nullable=False),
    sa.Column("spf", KEY, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON of reports
    sqlite_with_rowid=False,
)

# Mails to the address for reports that were looked at, and what was in them.
dmarc_report_mail = sa.Table(
    "dmarc_report_mail",
    metadata,
    sa.Column("mail_id", KEY, primary_key=True),
    sa.Column("at_ms", NUMBER, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),  # a sentence for a person
    sqlite_with_rowid=False,
)

# What a user said of a mail (into Junk, out of it, answered), waiting to be learned from.
training = sa.Table(
    "training",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("blob_id", KEY, primary_key=True),
    sa.Column("mail_id", KEY),  # null: a client put the message there
    sa.Column("kind", KEY, nullable=False),  # core.feedback.FeedbackKind
    sa.Column("lease_until_ms", NUMBER, nullable=False),  # 0: nobody is at it
    sqlite_with_rowid=False,
)

# What was learned of a mail, so that it can be unlearned.
trained = sa.Table(
    "trained",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("blob_id", KEY, primary_key=True),
    sa.Column("is_junk", sa.Boolean, nullable=False),
    sa.Column("is_shared", sa.Boolean, nullable=False),  # it counts for the installation too
    sqlite_with_rowid=False,
)

# How many mails a model has learned; account 0 is the installation.
word_model = sa.Table(
    "word_model",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("version", NUMBER, nullable=False),  # grows with each change of its words
    sa.Column("junk", NUMBER, nullable=False),
    sa.Column("ham", NUMBER, nullable=False),
    sa.Column("shared_junk", NUMBER, nullable=False),  # of these, counted for the installation
    sa.Column("shared_ham", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# In how many of these mails a word stood (check.tokens).
word = sa.Table(
    "word",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("word", KEY, primary_key=True),
    sa.Column("junk", NUMBER, nullable=False),
    sa.Column("ham", NUMBER, nullable=False),
    sa.Column("shared_junk", NUMBER, nullable=False),
    sa.Column("shared_ham", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# Recipients of what an account has submitted in one minute and on one day (UTC).
send_count = sa.Table(
    "send_count",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("minute", NUMBER, nullable=False),  # since 1970 UTC
    sa.Column("minute_count", sa.Integer, nullable=False),
    sa.Column("day", NUMBER, nullable=False),  # since 1970 UTC
    sa.Column("day_count", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Recipients elsewhere that an account never wrote to before, in one hour and on one day (UTC), and
# what came of it.
stranger_count = sa.Table(
    "stranger_count",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("hour", NUMBER, nullable=False),  # since 1970 UTC
    sa.Column("hour_count", sa.Integer, nullable=False),
    sa.Column("day", NUMBER, nullable=False),  # since 1970 UTC
    sa.Column("day_count", sa.Integer, nullable=False),
    sa.Column("usual", sa.Double, nullable=False),  # on a day, averaged over the days before
    sa.Column("held_ms", NUMBER),  # since when its mail is held back; null: it is not
    sa.Column("told_ms", NUMBER),  # when owner and postmaster were told of that
    sa.Column("trusted_until_ms", NUMBER),  # an operator let it go: it is not held before that
    sqlite_with_rowid=False,
)

# What accounts did with the mail of a correspondent: counts that fade (store.reputation), never
# texts. Account 0 stands for the installation, where each account has one voice.
reputation = sa.Table(
    "reputation",
    metadata,
    sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("key", KEY, primary_key=True),  # check.correspondent
    sa.Column("at_ms", NUMBER, nullable=False, index=True),  # when the counts were as they stand
    sa.Column("junked", sa.Double, nullable=False),  # moved to Junk
    sa.Column("kept", sa.Double, nullable=False),  # moved back from Junk
    sa.Column("written", sa.Double, nullable=False),  # answered, or written to
    sa.Column("seen", sa.Double, nullable=False),  # taken into a mailbox other than Junk
    # What of the installation's counts comes from this account
    sa.Column("junked_voice", sa.Double, nullable=False),
    sa.Column("kept_voice", sa.Double, nullable=False),
    sa.Column("written_voice", sa.Double, nullable=False),
    sa.Column("seen_voice", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

# Who came once and was asked to come again (check.greylist).
greylist = sa.Table(
    "greylist",
    metadata,
    sa.Column("key", KEY, primary_key=True),  # network, sender's domain, recipient's domain
    sa.Column("first_ms", NUMBER, nullable=False),
    sa.Column("last_ms", NUMBER, nullable=False, index=True),
    sa.Column("passed", sa.Boolean, nullable=False),  # it came again in time
    sqlite_with_rowid=False,
)

# Logos of senders that a certificate confirms (BIMI), and domains that have none, for some time.
sender_logo = sa.Table(
    "sender_logo",
    metadata,
    sa.Column("domain", KEY, primary_key=True),  # of the author, ASCII
    sa.Column("selector", KEY, primary_key=True),
    sa.Column("until_ms", NUMBER, nullable=False, index=True),  # then it is looked up anew
    sa.Column("svg", sa.LargeBinary),  # null: there is none
    sa.Column("name", sa.Text, nullable=False),  # the domain that the certificate is for
    sa.Column("issuer", sa.Text, nullable=False),  # of the certificate, for people
    sqlite_with_rowid=False,
)

# Certificates by ACME (RFC 8555): our accounts at authorities, keys, certificates, and what answers
# the challenges of orders under way.
acme_account = sa.Table(
    "acme_account",
    metadata,
    sa.Column("directory", KEY, primary_key=True),  # address
    sa.Column("private_key", sa.LargeBinary, nullable=False),  # PKCS #8 in PEM
    sa.Column("uri", sa.Text),  # null: not registered yet
    sa.Column("caa_domain", sa.Text),  # of the authority in CAA records; null: unknown
    sa.Column("created_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

host_key = sa.Table(
    "host_key",
    metadata,
    sa.Column("key_hash", KEY, primary_key=True),  # SHA-256 of the public key, hexadecimal
    sa.Column("name", KEY, nullable=False, index=True),  # ASCII
    sa.Column("state", KEY, nullable=False),  # next, active, retired
    sa.Column("private_key", sa.LargeBinary, nullable=False),  # PKCS #8 in PEM
    sa.Column("created_ms", NUMBER, nullable=False),
    sa.Column("found_ms", NUMBER),  # since when its TLSA record is in DNS; null: not seen yet
    sa.Column("activated_ms", NUMBER),
    sa.Column("retired_ms", NUMBER),
    sqlite_with_rowid=False,
)

host_certificate = sa.Table(
    "host_certificate",
    metadata,
    sa.Column("name", KEY, primary_key=True),  # ASCII; may begin with *.
    sa.Column("key_hash", KEY),  # of the key in the chain
    sa.Column("chain", sa.LargeBinary),  # PEM; null: none yet
    sa.Column("not_before_ms", NUMBER),
    sa.Column("not_after_ms", NUMBER),
    sa.Column("renew_ms", NUMBER),  # when it is due
    sa.Column("ask_ms", NUMBER),  # when the authority is asked for a better time
    sa.Column("tried_ms", NUMBER),
    sa.Column("next_try_ms", NUMBER),  # after a failure
    sa.Column("failures", NUMBER, nullable=False),  # since the last success
    sa.Column("error", sa.Text),
    sa.Column("waits_for", sa.Text),  # a sentence; null: for nothing
    sqlite_with_rowid=False,
)

acme_challenge = sa.Table(
    "acme_challenge",
    metadata,
    sa.Column("token", KEY, primary_key=True),
    sa.Column("name", KEY, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),  # key authorization
    sa.Column("certificate", sa.LargeBinary),  # PEM, for TLS-ALPN-01
    sa.Column("private_key", sa.LargeBinary),
    sa.Column("created_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# MTA-STS policies of other domains.
sts_policy = sa.Table(
    "sts_policy",
    metadata,
    sa.Column("domain", KEY, primary_key=True),  # ASCII, lower case
    sa.Column("record_id", sa.Text, nullable=False),  # of the TXT record that announced it
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("mx", sa.Text, nullable=False),  # patterns, with spaces between them
    sa.Column("until_ms", NUMBER, nullable=False, index=True),  # then it ends
    sa.Column("checked_ms", NUMBER, nullable=False, index=True),  # last fetched, or tried to be
    sqlite_with_rowid=False,
)

# Work that one worker does for all nodes: who does it now.
chore = sa.Table(
    "chore",
    metadata,
    sa.Column("name", KEY, primary_key=True),
    sa.Column("holder", KEY, nullable=False),  # node and worker; "": nobody
    sa.Column("beat", NUMBER, nullable=False),  # grows with each change of the row
    sqlite_with_rowid=False,
)

# What the administrators were alerted of, as long as it lasts.
alert = sa.Table(
    "alert",
    metadata,
    sa.Column("kind", KEY, primary_key=True),  # monitor.conditions.Kind
    sa.Column("subject", KEY, primary_key=True),  # a domain, a certificate ...; "": the server
    sa.Column("begun_ms", NUMBER, nullable=False),
    sa.Column("told_ms", NUMBER, nullable=False),  # the last mail about it; 0: none
    sa.Column("facts", sa.Text, nullable=False),  # JSON object: what the sentences say
    sqlite_with_rowid=False,
)

# Each creation and upgrade of these tables. Older programs read the version of the last row, to say
# which version they are too old for: this table never changes.
schema_upgrade = sa.Table(
    "schema_upgrade",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("at_ms", NUMBER, nullable=False),
    sa.Column("from_schema", KEY, nullable=False),  # "": the store was created
    sa.Column("to_schema", KEY, nullable=False),
    sa.Column("version", sa.Text, nullable=False),  # of the program that did it
)

# The oldest schema whose programs may use these tables: one row. Older programs read it: this table
# never changes.
schema_floor = sa.Table(
    "schema_floor",
    metadata,
    sa.Column("floor", KEY, primary_key=True),
    sqlite_with_rowid=False,
)

# The servers that share a PostgreSQL database (store.engine.nodes).
node = sa.Table(
    "node",
    metadata,
    sa.Column("id", KEY, primary_key=True),  # NodeId
    sa.Column("host", sa.Text, nullable=False),  # name of the machine
    sa.Column("version", sa.Text, nullable=False),  # of the program
    sa.Column("schema", KEY, nullable=False),  # the newest that the program knows
    sa.Column("state", KEY, nullable=False),  # NodeState
    sa.Column("epoch", NUMBER, nullable=False),  # grows when it enters and when it is declared gone
    sa.Column("is_cleared", sa.Boolean, nullable=False),  # its leases of older epochs are freed
    sa.Column("beat", NUMBER, nullable=False),  # grows every two seconds while it lives
    # For people; nothing is decided by these.
    sa.Column("beat_ms", NUMBER, nullable=False),  # by the clock of the database
    sa.Column("started_ms", NUMBER, nullable=False),  # likewise
    sa.Column("skew_ms", NUMBER, nullable=False),  # its clock minus that of the database
    sa.Column("workers", sa.Integer, nullable=False),
    sa.Column("sessions", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Written by each check of readiness, to prove that the store takes writes.
readiness = sa.Table(
    "readiness",
    metadata,
    sa.Column("node", KEY, primary_key=True),
    sa.Column("at_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# Change counters; ``directory`` grows with each change of domain, account and address,
# ``certificates`` with each change of what the listeners present.
counter = sa.Table(
    "counter",
    metadata,
    sa.Column("name", KEY, primary_key=True),
    sa.Column("value", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

# The catalogue of the main shard (decision 0020): further stores, and what is in them.
shard = sa.Table(
    "shard",
    metadata,
    sa.Column("name", KEY, primary_key=True),  # as in store.shards
    sa.Column("number", NUMBER, nullable=False, unique=True),  # begins the ids of its accounts
    sa.Column("created_ms", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)

shard_place = sa.Table(
    "shard_place",
    metadata,
    # "@example.org": a domain; a@example.org: an account apart from its domain; else a login name
    sa.Column("name", KEY, primary_key=True),
    sa.Column("shard", KEY, nullable=False),
    sqlite_with_rowid=False,
)

# Accounts on their way from one shard to another, and how far each is (store.shards.moves).
shard_move = sa.Table(
    "shard_move",
    metadata,
    sa.Column("address_key", KEY, primary_key=True),
    sa.Column("login", KEY, nullable=False),
    sa.Column("account_id", NUMBER, nullable=False),
    sa.Column("from_shard", KEY, nullable=False),
    sa.Column("to_shard", KEY, nullable=False),
    sa.Column("step", KEY, nullable=False),  # copying, holding, emptied, switched
    sa.Column("was_active", sa.Boolean, nullable=False),  # it was not suspended before
    sa.Column("since_ms", NUMBER, nullable=False),
    sa.Column("switched_ms", NUMBER),  # null: not yet
    sqlite_with_rowid=False,
)
