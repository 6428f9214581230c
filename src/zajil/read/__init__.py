"""Step 5, second half: the owner reads the mail, by IMAP; POP3 and views for the web come later.

Reading order: ``imap`` (the package docstring names its files).
"""
