"""The database and the data folder: opening, migrating, reading, committing, hints of changes.

Reading order: ``open`` (the parts of an open store); ``writer`` and ``batch`` (group commit),
``rows``, ``reader``; ``changes`` and ``hints`` (subscribers in other processes); ``dialect``,
``sqlite``, ``postgres``; ``folder`` and ``node`` (the data folder and the id of the server it
belongs to); ``life`` and ``migrate`` (creating and upgrading); ``chores`` (work that one worker
does for all nodes); ``errors``.
"""
