"""Step 5, second half: the owner reads the mail, by IMAP and in the web; POP3 comes later.

Reading order: ``imap`` (the package docstring names its files); for the web ``shown`` (a message as
a page shows it), ``paragraphs`` (text and its directions), ``safe_html`` (HTML of strangers).
"""
