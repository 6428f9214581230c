"""IMAP: the answers to commands, above the engine in ``zajil.imap`` and the store.

Reading order: ``service`` (what a listener serves), ``session`` (one connection: which command goes
where), ``context`` (what the commands share), ``selected_mailbox`` (the mailbox as the client knows
it), ``select`` (opening it, and reporting changes), then by command: ``enable``,
``condstore`` and ``resync`` (MODSEQs, and what a client missed), ``fetch`` with
``content`` and ``object_id``, ``search`` with ``search_text``, ``flags``, ``append``,
``copy_move``, ``expunge``, ``mailbox_admin``, ``mailbox_list``.
"""
