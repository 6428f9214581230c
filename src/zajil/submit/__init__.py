"""Step 1: our users hand mail in (RFC 6409).

A stricter ``receive``: log in first, send only as yourself, and the message is completed.
Reading order: ``session`` (what is answered differently), ``log_in`` (AUTH), ``permission``
(may this account send as this address), ``send_limits`` (how much), ``outgoing`` (to how many
strangers), ``complete`` (what is added and removed), ``accept``
(hand it to the store), ``hand_in`` (the same without SMTP), ``compose`` (a web form becomes a
message).
"""
