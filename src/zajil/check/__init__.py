"""Checks: who sent a mail, is it wanted, and why (decision 0007).

Reading order: ``step`` (all of it, in order), ``facts`` (what is known when the message is here),
``verdict`` (pure: reasons to a verdict). ``sender`` is about who sent it; ``content`` about what a
mail is made of, as ``message.view`` reads it (``run`` has the order); ``learned`` about what is
known beside the mail; ``scanners`` asks other programs. ``flows`` asks DNS for all of them.
"""
