"""Step 2: the world hands mail in (RFC 5321 section 3.3, port 25).

Reading order: ``replies`` (everything we answer), ``session`` (what we answer when),
``transaction`` (one mail while it comes in), ``spool`` (its bytes), ``recipients`` (asking the
directory without a task switch), ``trace_fields`` (what we add on top), ``accept`` (checks, files
and hands it to the store; then, and only then, 250).
"""
