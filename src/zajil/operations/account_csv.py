"""Reads a list of accounts from a CSV file (RFC 4180), as spreadsheets write it.

The first line names the columns: ``address`` and, in any order, ``name``, ``login``, ``quota``,
``password``. Columns are divided by commas or semicolons.
"""

from __future__ import annotations

import csv
import io

from zajil.core.address import parse_address
from zajil.core.errors import Invalid
from zajil.core.login_name import parse_login
from zajil.core.units import parse_short_size
from zajil.operations.account_lists import ListedAccount, ReadList, RefusedLine

COLUMNS = ("address", "name", "login", "quota", "password")


class BadAccountFile(Invalid):
    """The file as a whole is not what it should be; no account was made."""


def read_account_csv(text: str) -> ReadList:
    """Return the accounts of a CSV file, and the lines that have a mistake.

    Args:
        text: the whole file.

    Raises:
        BadAccountFile: its first line does not name the columns, or it is not CSV.
    """
    head = text.split("\n", 1)[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    accounts: list[ListedAccount] = []
    refused: list[RefusedLine] = []
    try:
        columns = _columns(next(rows, []))
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            cells = dict.fromkeys(columns, "")
            cells.update(zip(columns, (cell.strip() for cell in row), strict=False))
            try:
                if len(row) > len(columns):
                    raise BadAccountFile("it has more columns than the first line")
                accounts.append(_account(rows.line_num, cells))
            except (Invalid, ValueError) as error:
                refused.append(RefusedLine(rows.line_num, cells["address"], str(error)))
    except csv.Error as error:
        raise BadAccountFile(f"line {rows.line_num}: it is not CSV: {error}") from None
    return ReadList(tuple(accounts), tuple(refused))


def _columns(head: list[str]) -> list[str]:
    columns = [name.strip().lower() for name in head]
    unknown = [name for name in columns if name not in COLUMNS]
    if "address" not in columns or unknown or len(set(columns)) != len(columns):
        found = f"; unknown: {', '.join(unknown)}" if unknown else ""
        raise BadAccountFile(
            f"the first line must name the columns: address, and any of "
            f"{', '.join(COLUMNS[1:])}{found}"
        )
    return columns


def _account(line: int, cells: dict[str, str]) -> ListedAccount:
    quota = cells.get("quota", "")
    return ListedAccount(
        line=line,
        address=parse_address(cells["address"]),
        login=parse_login(cells["login"]) if cells.get("login") else None,
        display_name=cells.get("name", ""),
        password=cells.get("password") or None,
        quota=_quota(quota) if quota else None,
    )


def _quota(text: str) -> int:
    size = 0 if text == "none" else parse_short_size(text)
    if size >= 1 << 60:
        raise ValueError("the quota is too large")
    return size
