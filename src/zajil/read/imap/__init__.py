"""What we answer to IMAP, on top of the engine in ``zajil.imap`` and the store.

Reading order: ``service`` (what a listener serves), ``session`` (one connection: which command goes
where), ``log_in`` (who it is), ``context`` (what the commands share), ``view`` (the mailbox as the
client knows it), ``select`` (how it is opened, and how the client is told of changes), then by
command: ``fetch`` with ``content``, ``search`` with ``search_text``, ``flags``, ``append``,
``copy_move``, ``mailbox_admin``, ``mailbox_list``.
"""
