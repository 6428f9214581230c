"""The command line as an operator meets it: exit status, one sentence, never a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from kit.command_line import Run, as_json
from kit.operator_world import listening_elsewhere
from zajil.cli.main import app


def test_domains_accounts_and_aliases(run: Run) -> None:
    assert as_json(run, "domain", "add", "زاجل.test") == {"domain": "xn--mgbkq8e.test"}
    added = as_json(run, "account", "add", "سلمى@زاجل.test", "--name", "سلمى")
    assert (added["address"], added["login"]) == ("سلمى@زاجل.test", "slma")
    assert len(added["password"]) == 24
    as_json(run, "alias", "add", "all@north.test", "slma@north.test", "x@elsewhere.test")
    assert {row["login"]: row["name"] for row in as_json(run, "account", "list")["accounts"]} == {
        "admin": "",
        "slma": "سلمى",
    }
    domains = as_json(run, "domain", "list")["domains"]
    assert [(row["domain"], row["accounts"], row["aliases"]) for row in domains] == [
        ("north.test", 1, 3),
        ("زاجل.test", 1, 2),
    ]
    names = [row["address"] for row in as_json(run, "alias", "list")["aliases"]]
    assert names == [
        "abuse@north.test",
        "all@north.test",
        "postmaster@north.test",
        "abuse@زاجل.test",
        "postmaster@زاجل.test",
    ]


def test_a_person_reads_tables(run: Run) -> None:
    assert run("account", "list")[1].splitlines()[0].split() == [
        "LOGIN",
        "ADDRESS",
        "ROLE",
        "STATE",
        *("SINCE", "MESSAGES", "SIZE", "LAST", "LOGIN"),
    ]
    for command in (["domain", "list"], ["alias", "list"], ["queue", "list"], ["journey", "find"]):
        assert run(*command)[0] == 0


def test_an_account_that_is_not_held_cannot_be_let_go(run: Run) -> None:
    assert as_json(run, "account", "show", "admin")["held_ms"] is None
    assert run("account", "release", "admin") == (1, "", "zajil: the account admin is not held\n")
    assert run("account", "release", "admin", "--trust", "1")[0] == 2
    assert run("account", "release", "nobody")[0] == 1


def test_an_account_is_suspended_and_resumed(run: Run) -> None:
    run("account", "add", "amal@north.test")
    for verb, said, active in (("suspend", "suspended", False), ("resume", "resumed", True)):
        assert run("account", verb, "AMAL@north.test") == (0, f"{said} amal\n", "")
        rows = as_json(run, "account", "list")["accounts"]
        assert {row["login"]: row["active"] for row in rows}["amal"] is active


def test_a_password_comes_from_a_file_or_is_made_up(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\nsecond line\n", "utf-8")
    assert run("account", "password", "admin", "--password-file", str(file)) == (0, "changed\n", "")
    assert set(as_json(run, "account", "password", "admin")) == {"password"}


def test_app_passwords(run: Run) -> None:
    made = as_json(run, "account", "app-password", "add", "admin", "--name", "phone")
    assert (made["name"], made["scope"]) == ("phone", "all")
    (listed,) = as_json(run, "account", "app-password", "list", "admin")["app_passwords"]
    assert listed["label"] == made["password"][:4]
    assert as_json(run, "account", "show", "admin")["app_passwords"] == [listed]
    assert made["password"] not in run("account", "app-password", "list", "admin")[1]
    again = run("account", "app-password", "add", "admin", "--name", "phone", "--scope", "imap")
    assert again[0] == 1
    assert run("account", "app-password", "add", "admin", "--name", "")[0] == 2
    removed = run("account", "app-password", "remove", "admin", "phone")
    assert removed == (0, "removed phone\n", "")
    assert run("account", "app-password", "remove", "admin", "phone")[0] == 1


def test_a_delegation_is_given_and_taken_back(run: Run) -> None:
    run("account", "add", "amal@north.test")
    run("alias", "add", "sales@north.test", "admin@north.test")
    give = ("account", "delegate", "sales@north.test", "--to", "amal")
    assert run(*give) == (0, "amal may send as sales@north.test\n", "")
    assert as_json(run, "account", "show", "amal")["may_send_as"] == ["sales@north.test"]
    assert as_json(run, "account", "show", "admin")["delegates"] == [
        {"address": "sales@north.test", "login": "amal"}
    ]
    assert run(*give)[0] == 1
    taken = run(*give, "--remove")
    assert taken == (0, "amal may no longer send as sales@north.test\n", "")
    assert as_json(run, "account", "show", "amal")["may_send_as"] == []
    assert run(*give, "--remove")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["delegate", "nobody@north.test", "--to", "admin"], 1),
        (["delegate", "admin@elsewhere.test", "--to", "admin"], 1),
        (["delegate", "admin@north.test", "--to", "nobody"], 1),
        (["delegate", "@", "--to", "admin"], 2),
        (["delegate", "admin@north.test"], 2),
        (["app-password", "add", "nobody", "--name", "phone"], 1),
        (["app-password", "list", "nobody"], 1),
        (["app-password", "remove", "nobody", "phone"], 1),
        (["app-password", "add", "admin", "--name", "phone", "--scope", "web"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_rights_of_nobody_are_not_changed(run: Run, arguments: list[str], status: int) -> None:
    got, out, err = run("account", *arguments)
    assert (got, out) == (status, "")
    assert err
    assert "Traceback" not in err


def test_a_domain_goes_with_its_role_aliases(run: Run) -> None:
    run("domain", "add", "south.test")
    run("account", "add", "x@south.test")
    status, _, err = run("domain", "remove", "south.test")
    assert (status, err) == (1, "zajil: 1 address is still in south.test: x@south.test\n")
    run("account", "remove", "x", "--yes")
    assert run("domain", "remove", "south.test") == (0, "removed south.test\n", "")


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["account", "add", "x@nowhere.test"], 1, "nowhere.test is not a domain of this server"),
        (
            ["account", "add", "admin@north.test"],
            1,
            "the address admin@north.test already exists",
        ),
        (["account", "add", "@"], 2, "an address must have the form local-part@domain"),
        (["account", "add", "x@north.test", "--login", "a b"], 2, "'a b' is not a login name"),
        (["account", "suspend", "nobody"], 1, "account nobody does not exist"),
        (["account", "remove", "admin"], 2, "this removes all mail of the account"),
        (
            ["account", "remove", "admin", "--yes"],
            1,
            "the alias abuse@north.test has admin@north.test as its only target",
        ),
        (["account", "password", "admin", "--password-file", "/nope"], 2, "cannot read the passw"),
        (["domain", "add", "north.test"], 1, "the domain north.test already exists"),
        (["domain", "add", "a b"], 2, "not a domain name: 'a b'"),
        (["domain", "remove", "elsewhere.test"], 1, "elsewhere.test is not a domain of this serv"),
        (["alias", "remove", "x@north.test"], 1, "alias does not exist: x@north.test"),
        (["journey", "show", "nothing"], 1, "mail nothing does not exist on this server"),
        (["journey", "find", "--since", "soon"], 2, "--since: 'soon' is neither"),
        (["message", "export", "nothing"], 1, "no copy of a mail nothing is here"),
        (["--set", "queue.leas=5m", "queue", "list"], 2, "--set: queue.leas: there is no such op"),
        (["--config", "/nope", "queue", "list"], 2, "/nope: cannot be read: No such file"),
        (["--set", "store.url=mysql://x", "domain", "list"], 2, "--set: store.url: it is neither"),
        (
            ["--set", "store.url=postgresql://127.0.0.1:1/x", "domain", "list"],
            1,
            "cannot open the database: ",
        ),
        (
            ["--set", "server.user=nobody-here", "domain", "list"],
            1,
            "server.user: user nobody-here does not exist",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_expected_error_is_one_sentence(
    run: Run, arguments: list[str], status: int, sentence: str
) -> None:
    got, out, err = run(*arguments)
    assert (got, out) == (status, "")
    assert err.startswith(f"zajil: {sentence}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("action", ["hold", "release", "retry", "expire", "delete"])
def test_an_unknown_mail_cannot_be_acted_on(run: Run, action: str) -> None:
    yes = ["--yes"] if action == "delete" else []
    assert run("queue", action, "nothing", *yes)[0] == 1
    status, out, _ = run("queue", action, "nothing", "--json", *yes)
    assert (status, json.loads(out)) == (1, {"done": [], "unknown": ["nothing"]})


def test_config_check(run: Run, server: Path) -> None:
    assert run(*listening_elsewhere(), "config", "check")[:2] == (0, f"{server} is right\n")
    server.write_text(server.read_text("utf-8").replace("[queue]", "[queue]\nleas = 1"), "utf-8")
    status, _, err = run("config", "check")
    assert status == 2
    assert "queue.leas: there is no such option; did you mean queue.lease?" in err
    status, out, _ = run("config", "check", "--json")
    assert status == 2
    assert json.loads(out)["mistakes"][0]["option"] == "queue.leas"


def test_config_check_looks_into_the_certificate(run: Run, server: Path) -> None:
    (server.parent / "tls" / "key.pem").unlink()
    status, _, err = run("config", "check")
    assert (status, f"zajil: {server}: tls: cannot read " in err) == (1, True)


def test_config_example_is_a_configuration(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "example.toml"
    file.write_text(run("config", "example")[1], "utf-8")
    status, out, _ = run("config", "check", str(file), "--json")
    # Every option is right; only the folders of that server are not on this machine, and others
    # may use its ports.
    mistakes = json.loads(out)["mistakes"]
    found = [one["option"] for one in mistakes if "is in use" not in one["reason"]]
    assert (status, found) == (1, ["server.data_dir"])


def test_the_certificate_is_shown(run: Run) -> None:
    shown = as_json(run, "tls", "show")
    assert shown["names"] == ["mail.north.test"]
    assert (shown["self_signed"], shown["fits_hostname"], shown["valid_now"]) == (True, True, True)
    assert run("--set", "server.hostname=mx.other.test", "tls", "show")[0] == 1


def test_the_store_is_described(run: Run) -> None:
    facts = as_json(run, "store", "check")
    assert (facts["database"], facts["domains"], facts["accounts"]) == ("sqlite", 1, 1)
    assert as_json(run, "store", "sweep") == {"removed": 0}


def test_every_command_has_its_help() -> None:
    """A command that prints data takes --json."""
    root: Any = typer.main.get_command(app)
    for path, command in leaves(root):
        assert (
            "Exit status" in command.help
            or "--json" in {spelled for one in command.params for spelled in one.opts}
            or path[0] == "config"
        ), path
        assert command.help.splitlines()[0].endswith("."), path


def test_no_help_has_square_brackets() -> None:
    """The help would take them for markup and leave them out, with what is in them."""
    root: Any = typer.main.get_command(app)
    for path, command in leaves(root):
        texts = [command.help, *(getattr(one, "help", None) for one in command.params)]
        assert not any("[" in text for text in texts if text), path


def leaves(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every command below a group, with the words that call it."""
    for name, child in group.commands.items():
        if hasattr(child, "commands"):
            yield from leaves(child, *path, name)
        else:
            yield (*path, name), child


def zajil(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zajil", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, **environment},
    )


def test_a_process_ends_with_the_status(server: Path) -> None:
    ended = zajil("domain", "list", "--json", ZAJIL_CONFIG=str(server))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["domains"][0]["domain"] == "north.test"


def test_wrong_usage_is_2(tmp_path: Path) -> None:
    assert zajil("bogus").returncode == 2
    file = tmp_path / "z.toml"
    file.write_text("[queue]\nfirst_rety = 1\n", "utf-8")
    ended = zajil("serve", "--config", str(file))
    assert ended.returncode == 2
    assert (
        f"zajil: {file}: queue.first_rety: there is no such option; "
        "did you mean queue.first_retry?\n"
    ) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("late", [False, True])
def test_the_named_file_comes_before_the_variable(run: Run, tmp_path: Path, late: bool) -> None:
    file = tmp_path / "z.toml"
    file.write_text("[xyzzy]\n", "utf-8")  # the error names the file that was read
    option = f"--config={file}"
    status, _, err = run("serve", option) if late else run(option, "serve")
    assert (status, err.partition(": server")[0]) == (2, f"zajil: {file}")


def test_a_terminal_without_arabic_is_no_fault(server: Path) -> None:
    zajil("domain", "add", "زاجل.test", ZAJIL_CONFIG=str(server))
    ended = zajil("domain", "list", ZAJIL_CONFIG=str(server), PYTHONIOENCODING="ascii")
    assert ended.returncode == 0
    assert "\\u0632" in ended.stdout


def test_a_port_in_use_is_one_sentence(server: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        others = [
            f"--set=listen.{name}=[]"
            for name in ("submission", "submissions", "imap", "imaps", "pop3", "pop3s", "web")
        ]
        ended = zajil("serve", f"--config={server}", f'--set=listen.smtp=["{address}"]', *others)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"cannot listen on {address}: the port is in use by another program" in ended.stderr
