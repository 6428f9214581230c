"""Put one account of a backup, or a part of it, back into the store that is in use.

Read in this order: ``source`` (what a backup has of an account), ``plan`` (what is missing now),
``accounts`` (an account that is gone), ``mailboxes``, ``messages``, ``contacts``.

Laws:
- Nothing that is there is changed or removed: what is missing is added.
- A message is missing if the account has no message with the same blob. It comes back with the id
  of its blob, so that a second restore, or one after a crash, adds nothing twice.
"""
