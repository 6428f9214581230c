"""Who is at the other end? Passwords, app passwords, SCRAM, tokens, for every protocol.

Reading order: ``account`` (what a log-in gives), ``service`` (the one answer), ``exchange`` (AUTH
and AUTHENTICATE, step by step), ``session_login`` (the log-in of one session), ``passwords``
(argon2id, and what is remembered), ``throttle`` (failures slow down), ``tokens`` (OAuth),
``open_sessions`` (sessions whose credentials changed).
"""
