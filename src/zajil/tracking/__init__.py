"""Tracking: the closed vocabulary of what can happen to a mail, and the story told from it.

Pure. Reading order: ``events`` (every event there is), ``codec`` (events to stored text and
back), ``journey`` (all events of one mail, cut to what an admin, a sender, an owner may see),
``hidden`` (what an alias hides from a sender), ``sentences`` (an event in plain words, with
``check_names``), ``story`` (a journey in chapters).
"""
