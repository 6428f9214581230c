"""Where all that lasts lies: SQLite or PostgreSQL, and files. All SQL is here, and only here.

Reading order: ``schema`` (every table); ``open`` (the parts of an open store); ``writer`` (group
commit) and ``batch`` (what units leave behind); ``intake`` (the one way in), ``append``, ``blobs``,
``rows``, ``flags``; ``reader``; ``changes`` and ``hints`` (who must hear of a commit);
``directory``; ``dialect`` (every difference between the databases), ``migrate``; then the units
and queries of each noun: ``domains accounts account_names last_logins mail_sizes aliases
alias_loop forwarding mailboxes messages message_changes mail_content queue settlement queue_admin
tracking sessions delegations send_counts dkim_keys strangers reputation greylist``. ``errors`` is
what can go wrong with all of it.
"""
