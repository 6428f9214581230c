"""``zajil import``: what comes from another mail system."""

from __future__ import annotations

import typer

from zajil.cli.account_lists import passwd_file
from zajil.cli.moving_in import contacts, imap, maildir, mbox, pst

import_app = typer.Typer(
    name="import", help="Accounts and mail of another mail system.", no_args_is_help=True
)
import_app.command("passwd-file")(passwd_file)
import_app.command("maildir")(maildir)
import_app.command("mbox")(mbox)
import_app.command("imap")(imap)
import_app.command("pst")(pst)
import_app.command("contacts")(contacts)
