"""Tracking: the closed set of events of a mail, and their descriptions.

Pure. Reading order: ``events`` (of mails, sessions and the
server), ``audit`` and ``audit_sentences`` (changes by operators and users), ``codec`` (events to
stored text and back), ``journey`` (all events of one mail that an admin, a sender or an owner may
see), ``hidden`` (what an alias hides from a sender), ``sentences`` (an event as a sentence, with
``check_names``), ``story`` (a journey in chapters).
"""
