"""Operations: everything that changes the server for an operator or a user.

The web and the command line use the same ones. Reading order: ``context`` (what an operation gets,
and how it records what it does), ``run`` (operations for the command line), ``credentials``,
``accounts``, ``account_changes``, ``app_passwords``, ``aliases``, ``delegations``, ``mailboxes``,
``dkim_keys``, ``domains``, ``queue``, ``messages``, ``audit``, ``journey``, ``setup`` (a new
server), ``moving`` (mail of other servers).
"""
