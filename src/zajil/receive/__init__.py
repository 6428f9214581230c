"""Step 2: the world hands mail in (RFC 5321 section 3.3, port 25).

Reading order: ``services`` (what sessions share), ``replies`` (everything we answer), ``session``
(what we answer when) with ``limits`` (how slowly) and ``reported_peer`` (XCLIENT), ``lmtp`` (the
same for a program in front of us), ``transaction`` (one mail while it comes in), ``recipients``
(one of them is taken or refused), ``spool`` (its bytes),
``accept`` (at the end of data: check, file, add ``trace_fields``), ``forward_seal`` (ARC for
what an alias sends on), ``hand_over`` (to the store; then, and only then, 250).
"""
