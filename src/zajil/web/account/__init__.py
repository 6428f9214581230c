"""The visitor: ``login`` (in and out), ``preferences`` (language, theme, what the account is)."""
