"""The summary that the lab prints: addresses and accounts."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zajil.core.service import Service
from zajil.lab.lab import Lab


def print_summary(lab: Lab, console: Console) -> None:
    """Print the addresses, the accounts and how to go on."""
    console.print()
    if lab.web:
        console.print(Text.assemble("The lab is running: ", (lab.web, "bold")))
    for running in lab.domains:
        table = Table(title=running.plan.domain, title_justify="left", box=None, pad_edge=False)
        for heading in ("address", "log-in", "password", ""):
            table.add_column(heading, no_wrap=True)
        for who in running.plan.accounts[:_SHOWN]:
            password = running.passwords[who.login]
            table.add_row(who.address.unicode, who.login, password, "admin" if who.admin else "")
        console.print()
        console.print(table)
        if (hidden := len(running.plan.accounts) - _SHOWN) > 0:
            console.print(f"and {hidden} more: see --json, or `zajil account list`")
        for name, address in {Service.WEB: running.web, **running.services}.items():
            if address:
                console.print(f"  {name:<12} {address}", highlight=False)
        for node in running.several:
            console.print(f"  {node.name} (PID {node.pid})", highlight=False)
            for name, address in {Service.WEB: node.web, **node.services}.items():
                if address:
                    console.print(f"    {name:<12} {address}", highlight=False)
            console.print(f"    {'config':<12} {node.server.configuration}", highlight=False)
        if not running.several:
            console.print(f"  {'config':<12} {running.server.configuration}", highlight=False)
    console.print()
    console.print(f"authority    {lab.ca_file}", highlight=False)
    console.print("Press Ctrl-C to stop the lab.")


_SHOWN = 10
"""Accounts printed for each domain; there may be a thousand."""
