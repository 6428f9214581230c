"""Moving mail in and out: from and to Maildir, mbox files and other servers.

A *source* lists mailboxes and their messages, a *target* takes them. Reading order: ``model``,
``names`` (what a foreign mailbox is called here), ``filing`` (messages into an account, each once),
``move_in``, ``move_out``; then the formats: ``tree``, ``maildir``, ``maildir_names``,
``maildir_target``, ``mbox``, ``mbox_tree``, ``mbox_target``.
"""
