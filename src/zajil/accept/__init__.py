"""One door for all mail: port 25, LMTP, submission, the web, and mail of our own.

Reading order: ``accept`` (the story), ``outcome`` (its answers), ``context`` (what differs between
services), ``transaction`` and ``recipients`` (the envelope), ``spool`` (the bytes), then the steps:
``facts`` with ``complete``, ``filing``, ``plan``, ``trace_fields`` and ``forward_seal``,
``outbound`` (limits of accounts), ``refusals`` (what is recorded of the rest). ``own_mail`` makes
bounces, reports and the notices of ``held_notice``.
"""
