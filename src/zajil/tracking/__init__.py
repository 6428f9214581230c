"""Tracking: the closed vocabulary of what can happen to a mail, and the story told from it.

Pure. Reading order: ``events`` (every event there is), ``codec`` (events to stored text and
back), ``journey`` (events to the story of one mail, for an admin, a sender, an owner).
"""
