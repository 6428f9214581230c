"""Reading: the owner reads the mail, by IMAP and in the web.

Reading order: ``imap`` (its docstring names its files); ``indexer`` (writes summaries and words of
messages in the background) with ``index_merger``; for the web ``shown`` (a message as a page shows
it), ``paragraphs`` (text and its directions), ``safe_html`` (HTML without what may do harm), with
``ink`` (colours) and ``links``; ``logo_question`` and ``sender_logos`` (BIMI).
"""
