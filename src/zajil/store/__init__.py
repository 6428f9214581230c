"""The store: SQLite or PostgreSQL, and files of messages. All SQL is here, and only here.

``schema`` has every table. The sub-rooms: ``engine`` (the database, the data folder, group commit),
``mail`` (messages, mailboxes, the journey), ``queue`` (recipients that wait for delivery),
``people`` (domains, accounts, aliases, passwords, keys), ``feedback`` (counts of what users and
peers did), ``reports`` (DMARC reports), ``repair`` (finding damage),
``backup`` (snapshots elsewhere), ``copy`` (from SQLite to PostgreSQL), ``migrations``.

A unit of work is a function whose first parameter is ``tx``; the writer runs it in a transaction.
Its docstring states whether it may run twice, and which tables it changes.
"""
