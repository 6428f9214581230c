"""The mailbox in a browser.

Reading order: ``mailboxes`` (the list at the side of every page), ``message_list`` (one mailbox,
and actions on its messages), ``message_page`` (reading one message), ``shown_letter`` and
``conversation_page`` (what it shows of the message and of others), ``compose`` (writing and
sending), ``refusal_text`` (why a message was not sent), ``live`` (news of new mail).
"""
