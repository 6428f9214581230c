"""Submission: our users hand mail in (RFC 6409).

Users log in and may send only as themselves; ``accept`` then completes and signs the message.
Reading order: ``session`` (what differs from port 25), ``hand_in`` (submission without SMTP, for
the web), ``compose`` (from a web form to a message).
"""
