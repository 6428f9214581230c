"""``zajil setup`` on a terminal, and without one."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import tomllib
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from kit.terminal import Terminal, on_terminal
from zajil.cli.main import main
from zajil.config.load import load_configuration
from zajil.operations.run import open_admin_store
from zajil.store.people.accounts import list_accounts
from zajil.tls.self_signed import make_self_signed

ZAJIL = [sys.executable, "-m", "zajil"]
PASSWORD = "correct horse battery"
LOCAL = ("--address", "127.0.0.1")


def answer_first(terminal: Terminal, folder: Path) -> None:
    """Domain, host name, folder, and the user where root is asked for one."""
    terminal.expect("Mail domain: ")
    terminal.type("north.test")
    terminal.expect("Host name of this server [mail.north.test]: ")
    terminal.type("")
    terminal.expect("Folder for the configuration [")
    terminal.type(str(folder))
    if os.geteuid() == 0:
        terminal.expect("System user that the server runs as")
        terminal.type("nobody")


def test_all_questions_with_mistakes(open_folder: Path) -> None:
    """A bad answer is explained and asked again; the rest is what was answered."""
    folder = open_folder / "mail"
    with on_terminal([*ZAJIL, "setup"]) as terminal:
        terminal.expect("Mail domain: ")
        terminal.type("localhost")
        terminal.expect("a mail domain has a name that others can look up in DNS")
        answer_first(terminal, folder)
        terminal.expect("Addresses to listen on [0.0.0.0")
        terminal.type("203.0.113.77")
        terminal.expect("203.0.113.77 is not an address of this machine")
        terminal.type("127.0.0.1")
        terminal.expect("Certificate [acme]: ")
        terminal.type("3")
        terminal.expect("PEM file of the certificate and its chain: ")
        terminal.type("/nowhere.pem")
        terminal.expect("cannot read /nowhere.pem: No such file or directory")
        pair = make_self_signed(("mail.north.test",), 1_795_000_000_000)
        for name, content in (("c.pem", pair.certificate), ("k.pem", pair.key)):
            (open_folder / name).write_bytes(content)
        terminal.type(str(open_folder / "c.pem"))
        terminal.expect("PEM file of the private key: ")
        terminal.type(str(open_folder / "c.pem"))
        terminal.expect("  ")
        terminal.type(str(open_folder / "k.pem"))
        terminal.expect("Sending [direct]: ")
        terminal.type("smarthost")
        terminal.expect("Host name of the smarthost: ")
        terminal.type("smtp.provider.test")
        terminal.expect("Port of the smarthost [587]: ")
        terminal.type("0")
        terminal.expect("a port is a number from 1 to 65535")
        terminal.type("465")
        terminal.expect("User name at the smarthost: ")
        terminal.type("north")
        terminal.expect("Password at the smarthost: ")
        terminal.type("at the relay")
        terminal.expect("Once more: ")
        terminal.type("at the relay")
        terminal.expect("Address of the first account [admin@north.test]: ")
        terminal.type("amal@south.test")
        terminal.expect("the first account must be in the domain north.test")
        terminal.type("amal")
        terminal.expect("Password of the first account: ")
        terminal.type(PASSWORD)
        terminal.expect("Once more: ")
        terminal.type(PASSWORD + "?")
        terminal.expect("two different passwords")
        terminal.expect("Password of the first account: ")
        terminal.type(PASSWORD)
        terminal.expect("Once more: ")
        terminal.type(PASSWORD)
        terminal.expect("Database [sqlite]: ")
        terminal.type("")
        assert not folder.exists()
        found = terminal.expect("(y/n)")
        assert "Port 25 outwards" in found
        assert "Disk" in found
        terminal.type("y")
        ticks = terminal.expect("are right already.")
        assert "north.test. IN MX 10 mail.north.test." in ticks
        last = terminal.expect("dns check --watch")
        assert "amal@north.test, an administrator" in last
        assert terminal.end() == 0
        assert PASSWORD not in terminal.text
        assert "at the relay" not in terminal.text
    file = folder / "zajil.toml"
    configuration = load_configuration(file)
    assert configuration.listen.https == ("127.0.0.1:443",)
    assert configuration.smarthost.host == "smtp.provider.test"
    assert configuration.smarthost.password == "at the relay"
    assert "at the relay" not in file.read_text("utf-8")
    assert configuration.tls.certificate == open_folder / "c.pem"
    with open_admin_store(configuration) as store:
        assert [row.login for row in store.read_now(list_accounts)] == ["amal"]


@pytest.mark.parametrize("key", [b"\x03", b"\x04"])
def test_the_dialog_can_be_ended_at_any_question(key: bytes, open_folder: Path) -> None:
    folder = open_folder / "mail"
    with on_terminal([*ZAJIL, "setup"]) as terminal:
        answer_first(terminal, folder)
        terminal.expect("Addresses to listen on")
        terminal.press_until(key, "Ended; nothing was written.")
        assert terminal.end() == 1
    assert not folder.exists()


def test_what_options_answer_is_not_asked(open_folder: Path) -> None:
    folder = open_folder / "mail"
    options = ["--dir", str(folder), "--hostname", "mx..bad", "--admin", "amal@north.test", *LOCAL]
    with on_terminal([*ZAJIL, "setup", *options]) as terminal:
        terminal.expect("Mail domain: ")
        terminal.type("north.test")
        terminal.expect("--hostname: not a domain name")
        terminal.expect("Host name of this server [mail.north.test]: ")
        terminal.type("mx.north.test")
        terminal.expect(f"Folder for the configuration: {folder}")
        if os.geteuid() == 0:
            terminal.expect("System user")
            terminal.type("nobody")
        terminal.expect("Certificate [acme]: ")
        terminal.type("self-signed")
        terminal.expect("Sending [direct]: ")
        terminal.type("")
        terminal.expect("Address of the first account: amal@north.test")
        terminal.expect("Password of the first account: ")
        terminal.type("")
        terminal.expect("Database [sqlite]: ")
        terminal.type("")
        terminal.expect("(y/n)")
        terminal.type("n")
        terminal.expect("nothing was written")
        assert terminal.end() == 1
    assert not folder.exists()


def test_a_database_that_does_not_answer_leads_back_to_the_questions(open_folder: Path) -> None:
    folder = open_folder / "mail"
    options = [
        "--dir", str(folder), "--hostname", "mx.north.test", "--admin", "amal@north.test",
        "--database", "postgresql://127.0.0.1:1/none", "--user", getpass.getuser(), *LOCAL,
    ]  # fmt: skip
    with on_terminal([*ZAJIL, "setup", *options]) as terminal:
        for text in ("Mail domain: ", "Certificate [", "Sending [", "Password of"):
            terminal.expect(text)
            answers = {"Mail domain: ": "north.test", "Certificate [": "self-signed"}
            terminal.type(answers.get(text, ""))
        terminal.expect("(y/n)")
        terminal.type("y")
        terminal.expect("Please check your answers.")
        assert not folder.exists()
        terminal.expect("Password of the first account: ")
        terminal.press(b"\x04")
        assert terminal.end() == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "setup needs DOMAIN"),
        (("north.test",), "--dir"),
        (("north.test", "--dir", "{}", "--certificate", "c.pem"), "--key"),
        (("north.test", "--dir", "{}", "--smarthost-login", "x"), "--smarthost"),
        (("north.test", "--dir", "{}", "--acme-contact", "a@north.test"), "--acme-agree-terms"),
        (("north.test", "--dir", "{}", "--acme-agree-terms"), "--acme-contact"),
        (("north.test", "--dir", "{}", "--smarthost", "h.test", "--smarthost-login", "x"),
         "--smarthost-password-file"),
        (("north.test", "--dir", "{}", "--smarthost", "h.test:0"), "a port is"),
        (("north.test", "--dir", "{}", "--address", "mail.north.test"), "is not an IP address"),
        (("", "--dir", "{}"), "DOMAIN is empty"),
        (("north.test", "--dir", "{}", "--database-file", "/dev/null"), "the URL of the database"),
        (("north.test", "--dir", ""), "a folder is needed"),
        (("north.test", "--dir", "{}", "--hostname", " "), "--hostname is empty"),
        (("north.test", "--dir", "{}", "--password-file", "/dev/null"), "first line is empty"),
        (("north.test", "--dir", "{}", "--admin", "a@south.test"), "must be in the domain"),
    ],
)  # fmt: skip
def test_without_a_terminal_it_never_asks(
    options: tuple[str, ...],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [one.format(tmp_path / "mail") for one in options]
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(SystemExit) as ended:
            main(["setup", *arguments])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "mail").exists()


def test_all_answers_as_options(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "mail"
    secret.write_text("at the relay\n", "utf-8")
    done = subprocess.run(
        [
            *ZAJIL, "setup", "north.test", "--dir", str(folder), "--address", "127.0.0.1",
            "--address", "127.0.0.2", "--smarthost", "[::1]:2525", "--smarthost-login", "n",
            "--smarthost-password-file", str(secret),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert "dns check --watch" in done.stdout
    tree = tomllib.loads((folder / "zajil.toml").read_text("utf-8"))
    assert tree["listen"]["imaps"] == ["127.0.0.1:993", "127.0.0.2:993"]
    assert tree["listen"]["http"] == ["127.0.0.1:80", "127.0.0.2:80"]
    assert tree["smarthost"]["password"] == {"file": "smarthost.password"}
    assert (folder / "smarthost.password").stat().st_mode & 0o777 == 0o600
    smarthost = load_configuration(folder / "zajil.toml").smarthost
    assert (smarthost.host, smarthost.port, smarthost.password) == ("::1", 2525, "at the relay")
    again = subprocess.run(
        [*ZAJIL, "setup", "north.test", "--dir", str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert again.returncode == 1
    assert f"zajil serve --config {folder}/zajil.toml" in again.stderr


def test_a_problem_of_the_machine_stops_setup_where_that_is_wanted(tmp_path: Path) -> None:
    """Port 25 of the address is in use."""
    import socket

    address = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 200}.9"
    with ExitStack() as held:
        if os.geteuid() == 0:
            with suppress(OSError):  # then another program has it already
                held.enter_context(socket.create_server((address, 143)))
        done = subprocess.run(
            [*ZAJIL, "setup", "north.test", "--dir", str(tmp_path / "mail"), "--probe",
             "--address", address],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
    if os.geteuid() == 0:
        assert done.returncode == 1
        assert "Port 143 is in use by another program" in done.stdout
        assert not (tmp_path / "mail").exists()


def test_certificates_of_an_authority(tmp_path: Path) -> None:
    """No self-signed pair is made: own files would have priority over those of the authority."""
    folder = tmp_path / "mail"
    done = subprocess.run(
        [
            *ZAJIL, "setup", "north.test", "--dir", str(folder), "--acme-contact", "a@north.test",
            "--acme-agree-terms", "--address", "127.0.0.1",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    configuration = load_configuration(folder / "zajil.toml")
    assert configuration.acme.directory == "https://acme-v02.api.letsencrypt.org/directory"
    assert (configuration.acme.agree_terms, configuration.acme.contact) == (True, "a@north.test")
    assert configuration.tls.certificate is None
    assert not (folder / "tls").exists()
    assert " tls list" in done.stdout
