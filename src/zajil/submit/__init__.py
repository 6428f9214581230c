"""Step 1: our users hand mail in (RFC 6409).

Log in first, send only as yourself; ``accept`` then completes and signs the message. Reading order:
``session`` (what is answered otherwise than on port 25), ``log_in`` (AUTH), ``hand_in`` (the same
without SMTP), ``compose`` (a web form becomes a message).
"""
