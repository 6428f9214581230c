"""The mailbox in a browser.

Reading order: ``boxes`` (what stands at the side of every page), ``letters`` (the list of one
mailbox, and what can be done with it), ``letter`` (reading one), ``writing`` (and sending),
``live`` (told of new mail).
"""
