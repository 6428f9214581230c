"""The visitor: who they are, and how they like it.

``login`` (in and out), ``preferences`` (language, theme, what the account is), ``app_passwords``
(what their programs log in with).
"""
