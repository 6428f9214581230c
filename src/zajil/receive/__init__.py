"""Step 2: the world hands mail in (RFC 5321 section 3.3, port 25).

Reading order: ``services`` (what sessions share), ``replies`` (everything we answer), ``session``
(what we answer when), ``transaction`` (one mail while it comes in), ``spool`` (its bytes),
``accept`` (at the end of data: check, file, add ``trace_fields``), ``copies`` (who gets a copy and
where it goes), ``hand_over`` (to the store; then, and only then, 250).
"""
