"""What each page of ``docs/run`` takes for granted, and what its commands print.

Commands run in a copy of the world that ``kit.operator_world`` describes. One that is not named
here must end with status 0, and is typed as it stands on the page.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from kit import operator_scenes as scenes
from kit.command_line import Run
from kit.operator_world import World
from zajil.operations.as_user import first_unreadable, python_paths

Prepare = Callable[[World, Run, ExitStack], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a command does, where that is more than to end with status 0."""

    says: tuple[str, ...] = ()
    """Regular expressions; each is found in what it prints."""
    status: int = 0
    adds: tuple[str, ...] = ()
    """Words that only a test needs; ``{}`` is the home of the operator."""
    types: tuple[tuple[str, str | bytes], ...] = ()
    """It runs on a terminal: a text that it prints, and the line that is then typed; a key is
    pressed until the command ends."""
    before: Prepare | None = None
    """What happens between the command before it and this one."""
    is_alternative: bool = False
    """It is typed instead of the command before it."""
    is_process: bool = False
    """It needs a process of its own."""


def nothing(world: World, run: Run, stack: ExitStack) -> None:
    """The world is as it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page."""

    prepare: Prepare = nothing
    """Changes the world before the first command."""
    fill: Mapping[str, str] = field(default_factory=dict)
    """Text on the page to what is meant: what the reader replaces. ``{}`` as above."""
    expected: Mapping[str, Expected] = field(default_factory=dict)
    """Command as on the page to what it does."""


_WATCH = Expected(is_process=True, says=("All records are right",))
_ASKS_ZONE = scenes.ASKS_ZONE
_CTRL_C = b"\x03"
_VAULT = ("--target", "{}/vault")
_ME = pwd.getpwuid(os.geteuid()).pw_name


def _server_user() -> str:
    """Return who can be ``server.user``: somebody who can read this Python and our files."""
    if os.geteuid() != 0 or first_unreadable(python_paths(), pwd.getpwnam("nobody")):
        return _ME
    return "nobody"


_USER = _server_user()

_IN_BROWSER = Expected(
    types=(("ssh -L ", _CTRL_C),), status=130, says=(r"http://127\.0\.0\.1:\d+/",)
)

_ALL_FILES = "zajil backup files / --target /backup/zajil --key-file /etc/zajil/backup.key"

PAGES: dict[str, Page] = {
    "abuse": Page(
        fill={"amal": "salma"},
        expected={
            "zajil account show amal": Expected(says=("held +since", "held mail +2")),
            "zajil queue list --state held": Expected(
                says=(r"salma@example\.org +3@far\.example +held",)
            ),
            "zajil account password amal": Expected(says=(r"password: \S+",)),
            "zajil account release amal --discard": Expected(says=("2",)),
            "zajil account release amal": Expected(is_alternative=True),
            "zajil journey find --from amal@example.org": Expected(says=("0@far.example",)),
        },
    ),
    "app-passwords": Page(
        expected={
            "zajil account app-password list amal": Expected(says=("telephone +imap",)),
        },
    ),
    "backup": Page(
        prepare=scenes.backups,
        fill={
            "/backup/zajil": "{}/backup/zajil",
            "/etc/zajil/backup.key": "{}/backup.key",
            "/var/lib/zajil.old": "{}/old",
        },
        expected={
            "zajil backup key": Expected(says=("Keep a copy of it",)),
            "zajil backup create": Expected(says=("^snapshot 2",)),
            "zajil backup list": Expected(says=("SNAPSHOT",)),
            "zajil backup verify": Expected(says=("nothing is damaged",)),
            "zajil backup prune": Expected(says=("kept 1 snapshot",)),
            # The configuration and its files are there already.
            _ALL_FILES: Expected(status=1, says=("zajil.toml: it exists",)),
            "zajil backup restore": Expected(says=("restored snapshot",)),
            "zajil store check": Expected(says=("not damaged",)),
        },
    ),
    "certificates": Page(
        prepare=scenes.certificate_of_an_authority,
        expected={
            "zajil tls list": Expected(says=(r"mail\.example\.org +valid",)),
            "zajil tls show mail.example.org": Expected(says=(r"names +mail\.example\.org",)),
        },
    ),
    "clients": Page(
        prepare=scenes.https,
        fill={"DOMAIN": "example.org"},
        expected={
            "curl https://autoconfig.example.org/mail/config-v1.1.xml": Expected(
                says=("<hostname>mail.example.org</hostname>",)
            ),
        },
    ),
    "daily": Page(
        fill={"192.0.2.7": "127.0.0.1", "GROUP COMMAND": "queue list"},
        expected={
            # For the shell that it is typed into.
            "zajil --install-completion": Expected(is_process=True),
            "zajil account admin basim on": Expected(says=("basim: .*administrator",)),
            "zajil account rename salma salma.haddad@example.org --keep-alias": Expected(
                says=("salma.haddad@example.org",)
            ),
            "zajil account forward amal --to amal@far.example": Expected(says=("a copy is kept",)),
            "zajil account forward amal --to basim@example.org --no-keep": Expected(
                says=("no copy is kept",)
            ),
            "zajil alias add info@example.org basim@example.org": Expected(
                says=("amal@example.org, basim@example.org",)
            ),
            "zajil alias remove info@example.org amal@example.org": Expected(
                says=("-> basim@example.org$",)
            ),
            "zajil alias set info@example.org salma@example.org x@far.example": Expected(
                says=("-> salma@example.org, x@far.example",)
            ),
            "zajil alias remove info@example.org": Expected(says=("removed info@example.org",)),
            "zajil status": Expected(status=1, says=("no server runs",)),
            "zajil store check": Expected(says=("read [0-9]+ messages?", "is not damaged")),
            "zajil store check --quick": Expected(says=("were not read", "is not damaged")),
            "zajil dns records example.org --zone": Expected(says=(" SOA ", "REPLACE", "Fill in")),
            "zajil journey show MAIL_ID --details": Expected(says=("mx.far.example",)),
            "zajil account list": Expected(says=("MESSAGES +SIZE +LAST LOGIN",)),
            "zajil queue list --older-than 1h": Expected(
                says=(r"amal@example\.org +x@far\.example.*Connection refused",)
            ),
            "zajil queue hold --sender amal@example.org": Expected(says=("held 1 mail",)),
            "zajil queue expire --older-than 3d": Expected(says=("gave up 1 mail",)),
            "zajil queue delete --sender spammer@example.org --yes": Expected(
                says=("deleted 1 mail",)
            ),
            "zajil dns check --watch": _WATCH,
            "zajil journey find --from bank.example --since 2d": Expected(says=("1 refused",)),
            "zajil journey find --refused --to amal@example.org": Expected(says=("1 refused",)),
            "zajil journey find --to team@example.org": Expected(says=("bank@bank.example",)),
            "zajil journey sessions --since 1h": Expected(says=("log-in failed",)),
            "zajil journey sessions 192.0.2.7": Expected(says=("log-in failed",)),
        },
    ),
    "dns": Page(
        prepare=scenes.zone_with_updates,
        expected={
            "zajil dns check": Expected(says=("All records are right",)),
            "zajil dns check example.org --watch": _WATCH,
            "zajil dns publish --dry-run": Expected(
                before=scenes.lose_a_record, says=("add +TXT +_dmarc.example.org",)
            ),
            "zajil dns publish example.org": Expected(
                types=(("[y/N]: ", "y"),), says=("Wrote 1 record",)
            ),
            "zajil dns publish --yes": Expected(
                before=scenes.lose_a_record, says=("Wrote 1 record",)
            ),
        },
    ),
    "https": Page(fill={"DOMAIN": "example.org"}),
    "install": Page(
        prepare=scenes.place_for_another_server,
        fill={"--user zajil": f"--user {_USER}"},
        expected={
            "zajil self-check": Expected(is_process=True, says=("ok +processes",)),
            "zajil setup example.org": Expected(adds=("--dir", "{}/first")),
            "zajil setup زاجل.مصر --admin سلمى@زاجل.مصر": Expected(adds=("--dir", "{}/arabic")),
            "zajil account add amal@example.org --name Amal": Expected(
                before=scenes.without_amal, says=("password: ",)
            ),
        },
    ),
    "mailboxes": Page(
        expected={
            "zajil account show amal": Expected(says=(r"quota +20 GiB", "deleted +1")),
            "zajil message undelete amal --list": Expected(says=("INBOX +1 .*Statement",)),
            "zajil message undelete amal --since 2d": Expected(says=("restored messages: 1",)),
            "zajil mailbox share amal Projects --with basim": Expected(says=("rights lr ",)),
            "zajil mailbox share amal Projects --with basim --rights write": Expected(
                says=("rights lrswite ",)
            ),
            "zajil mailbox list amal": Expected(says=("MAILBOX .*SHARED WITH",)),
        },
    ),
    "monitoring": Page(
        prepare=scenes.metrics,
        expected={
            "zajil alerts list": Expected(status=1, says=("zajil dns check example.org",)),
            "zajil alerts dismiss dns example.org": Expected(says=("dismissed",)),
            "zajil alerts test": Expected(says=("sent to amal@example.org",)),
            "promtool check rules zajil.rules.yml": Expected(
                before=scenes.with_the_rules, says=("SUCCESS",)
            ),
        },
    ),
    "moving": Page(
        prepare=scenes.mail_of_others,
        expected={
            "zajil import maildir amal Maildir --dry-run": Expected(
                says=("to be imported: 2 messages; mailboxes: 3",)
            ),
            "zajil import maildir amal Maildir": Expected(says=("imported: 2 messages",)),
            "zajil import imap amal imap.old.example --user amal@old.example"
            " --password-file old.password": Expected(
                adds=("--tls", "none"), says=("imported: 1 message",)
            ),
            "zajil import mbox amal Inbox --into INBOX": Expected(says=("imported: 1 message",)),
            "zajil import mbox amal Mail --exclude Trash": Expected(says=("imported: 1 message",)),
            "zajil import pst amal archive.pst": Expected(
                says=("imported: 1 message", "contacts imported: 1")
            ),
            "zajil import contacts amal contacts.vcf": Expected(says=("contacts imported: 1",)),
            "zajil export contacts amal amal.vcf": Expected(says=("contacts exported: [2-9]",)),
            "zajil import maildir amal Maildir --mailbox Work --since 2025-01-01T00:00": Expected(
                says=("imported earlier: 1",)
            ),
            "zajil import maildir amal Maildir --prefix Old": Expected(
                says=("imported earlier: 2",)
            ),
            "zajil export maildir amal out": Expected(says=("exported: [1-9]",)),
            "zajil export mbox amal out-mbox": Expected(says=("exported: [1-9]",)),
            "zajil export imap amal imap.new.example --user amal@new.example"
            " --password-file new.password": Expected(
                adds=("--tls", "none"), says=("exported: [1-9]",)
            ),
        },
    ),
    "organisation": Page(
        prepare=scenes.lists_of_people,
        expected={
            "zajil account add --from-csv people.csv --dry-run": Expected(
                says=("would be added: 2;",)
            ),
            "zajil account add --from-csv people.csv --passwords-to passwords.csv": Expected(
                says=("added: 2; there before: 1; lines left out: 0",)
            ),
            "zajil import passwd-file users --domain example.org --dry-run": Expected(
                says=("would be added: 1;",)
            ),
            "zajil import passwd-file users --domain example.org": Expected(says=("added: 1;",)),
            "zajil domain admin list": Expected(says=(r"example\.org +basim",)),
        },
    ),
    "personal-data": Page(
        fill={"/root/amal": "{}/exported"},
        expected={
            "zajil account export amal /root/amal": Expected(says=("messages: [1-9]",)),
            "zajil account erase salma --dry-run": Expected(says=("mail: [0-9]+ messages?",)),
            "zajil account erase salma --yes": Expected(
                says=("name the person erased-", "wait in the queue")
            ),
        },
    ),
    "probe": Page(
        expected={
            "zajil probe": Expected(status=1, adds=_ASKS_ZONE, says=("PROBLEM +DNS lists",)),
            "zajil probe --json": Expected(status=1, adds=_ASKS_ZONE, says=('"probes": ',)),
        },
    ),
    "reload": Page(
        prepare=scenes.served_with_a_change,
        expected={
            "zajil reload": Expected(says=("mail.quota",)),
            "zajil status": Expected(says=("Sessions ",)),
        },
    ),
    "sender": Page(
        prepare=scenes.letters,
        fill={"show 17": "show 1"},
        expected={
            "zajil spf check --ip 192.0.2.1 --mail-from amal@example.org --helo mx.example.org": (
                Expected(adds=_ASKS_ZONE, says=("pass",))
            ),
            "zajil dkim verify message.eml": Expected(adds=_ASKS_ZONE, says=("pass: example.org",)),
            "zajil arc verify message.eml": Expected(adds=_ASKS_ZONE),
            "zajil dmarc reports": Expected(says=("aggregate +example.org",)),
            "zajil dmarc reports import report.xml.gz": Expected(says=("imported as report 2",)),
            "zajil dmarc check message.eml --ip 192.0.2.1 --mail-from amal@example.org "
            "--helo mx.example.org": Expected(adds=_ASKS_ZONE, says=("pass: ",)),
        },
    ),
    "sending": Page(prepare=scenes.served_with_a_change),
    "setup": Page(
        prepare=scenes.place_for_another_server,
        fill={"--user zajil": f"--user {_USER}"},
        expected={
            "zajil setup": Expected(
                types=(("Mail domain: ", _CTRL_C),), status=1, says=("nothing was written",)
            ),
            "zajil setup --web": _IN_BROWSER,
            "zajil --set queue.lifetime=3d setup example.org": Expected(adds=("--dir", "{}/more")),
        },
    ),
    "shards": Page(
        prepare=scenes.shards,
        expected={
            "zajil shard create north": Expected(says=("created the shard north",)),
            "zajil account add amal@north.example": Expected(says=("login amal", "password: ")),
            "zajil shard list": Expected(says=(r"north +north\.example",)),
            "zajil --shard north backup create": Expected(says=("^snapshot 2",)),
            "zajil --shard north backup list": Expected(says=("SNAPSHOT",)),
            "zajil --shard north store check": Expected(says=("not damaged",)),
            "zajil account move basim@example.org --to north": Expected(
                adds=("--drop-rights",), says=("moved basim@example.org from main to north",)
            ),
            "zajil account move basim@example.org --undo": Expected(
                status=1, says=("nothing to undo",)
            ),
            # tests/cli/test_account_move.py has a shard that was restored.
            "zajil --shard main backup restore-account basim@example.org": Expected(
                status=1, says=("contains no snapshot",)
            ),
            "zajil account remove basim@example.org": Expected(
                status=2, says=("confirm with --yes",)
            ),
        },
    ),
    "signing": Page(
        prepare=scenes.older_keys,
        expected={
            "zajil dkim keys example.org --check": Expected(says=("IN DNS", "found")),
            "zajil dkim rotate example.org": Expected(says=("published",)),
            "zajil dkim rotate example.org --now": Expected(says=("mail is now signed",)),
            "zajil dkim revoke example.org rsa-20261124 ed-20261124": Expected(says=('p="$',)),
        },
    ),
    "spam": Page(
        prepare=scenes.letters,
        expected={
            "zajil check explain message.eml": Expected(says=(r"^accept .*\n.*DMARC confirmed",)),
            "zajil check explain message.eml --account amal --ip 192.0.2.7 "
            "--mail-from a@b.example --helo mx.b.example": Expected(says=("no host name in DNS",)),
            "zajil check explain message.eml --language ar": Expected(says=("الرسالة",)),
        },
    ),
    "start": Page(
        prepare=scenes.zone_with_updates,
        expected={
            "zajil dns check --watch": _WATCH,
        },
    ),
    "tls-reports": Page(
        prepare=scenes.tls_reports,
        expected={
            "zajil tls reports": Expected(says=("PROVEN",)),
            "zajil tls reports show 1": Expected(says=("certificate-expired",)),
            "zajil tls reports import report.json.gz": Expected(says=("imported as report 2",)),
        },
    ),
    "nodes": Page(
        prepare=scenes.moved_to_postgresql,
        expected={
            "zajil store move-blobs": Expected(says=("moved 0 messages",)),
            "zajil node list": Expected(
                before=scenes.next_node, says=(r"NODE +HOST", r"(?s) active .* active ")
            ),
            "zajil node drain --wait": Expected(says=("is drained: stop its server",)),
            "zajil node forget mx2.example.org": Expected(
                before=scenes.without_last_node, says=("forgot the node",)
            ),
        },
    ),
    "upgrade": Page(
        prepare=scenes.upgraded,
        fill={"chown zajil:": f"chown {_ME}:"},
        expected={
            "zajil self-check": Expected(is_process=True),
            "zajil upgrade rehearse": Expected(says=("nothing to upgrade", "is not damaged")),
            "zajil upgrade run": Expected(says=("the store is up to date",)),
            "zajil upgrade undo": Expected(
                before=scenes.upgraded_before, says=("from schema [0-9]{4} to 0045",)
            ),
        },
    ),
    "s3": Page(
        prepare=scenes.bucket,
        expected={
            "zajil config check": Expected(says=("is right",)),
            "zajil store new-key": Expected(says=("will be encrypted with key", "Keep a copy")),
            "zajil store move-blobs": Expected(says=("^moved [0-9]+ messages?",)),
            "zajil store check": Expected(says=("is not damaged",)),
            "zajil store check --contents": Expected(says=("is not damaged",)),
            "zajil backup restore-bytes": Expected(
                before=scenes.backup_made, says=("no message lacks its bytes",)
            ),
            "zajil store sweep": Expected(says=("found 0 objects",)),
            "zajil store move-blobs --to files": Expected(says=("^moved [1-9][0-9]* messages?",)),
        },
    ),
    "web": Page(fill={"NAME": "basim"}),
}
"""Pages that are not named here need nothing."""

NAMED_ONLY = frozenset(
    {
        "zajil account add",
        "zajil account remove",
        "zajil account set",
        "zajil account reset-second-factors",
        "zajil directory sync --accept-losses",
        "zajil directory sync --adopt",
        "zajil queue delete",
        "zajil queue hold",
        "zajil queue release",
        "zajil tls renew",
        "zajil dns records",
        "zajil mailbox share",
        "apt-get install",
        "apt-get install --allow-downgrades",
        "pip install .",
        "podman stop",
        "rsync -a",
        "systemctl start",
    }
)
"""Commands that a sentence names without what they need; of ours, the help is asked for."""

_ROUND_TRIP = "tests/journeys/test_round_trip.py"
_NEWCOMER = "tests/packages/test_newcomer.py"
_PACKAGE = "tests/packages/test_debian_package.py"
_IMAGE = "tests/packages/test_oci_image.py"
_PIP = "tests/packages/test_pip_installation.py"
_DIRECTORY = "tests/cli/test_directory.py"
RUN_ELSEWHERE: dict[str, str] = {
    "zajil store copy --url-file /etc/zajil/store.url": "tests/cli/test_store_copy.py",
    "zajil account unlink amal ldap": _DIRECTORY,
    "zajil directory check": _DIRECTORY,
    "zajil directory check amal@example.org": _DIRECTORY,
    "zajil directory sync --dry-run": _DIRECTORY,
    "zajil directory sync": _DIRECTORY,
    "zajil directory show": _DIRECTORY,
    "zajil roundtrip --to echo@example.net --from amal": _ROUND_TRIP,
    "zajil roundtrip --to echo@example.net --from admin": _ROUND_TRIP,
    "zajil roundtrip --to echo@example.net --from admin --timeout 2m --json": _ROUND_TRIP,
    "zajil setup example.org --admin amal@example.org --acme-contact amal@example.org "
    "--acme-agree-terms": _NEWCOMER,
    "systemctl enable --now zajil": _NEWCOMER,
    "apt-get install ./zajil_*.deb": _PACKAGE,
    "apt-get remove zajil": _PACKAGE,
    "apt-get purge zajil": _PACKAGE,
    "packaging/build-deb": _PACKAGE,
    "packaging/build-oci": _IMAGE,
    "zajil serve": "tests/docs_run/conftest.py",
    "dpkg-deb -x ./zajil_*.deb /opt/zajil-new": _PACKAGE,
    "/opt/zajil-new/usr/lib/zajil/bin/python3 -I -m zajil upgrade rehearse": _PACKAGE,
    "python3 -m venv /opt/zajil-new": _PIP,
    "/opt/zajil-new/bin/pip install --require-hashes -r requirements.lock": _PIP,
    "/opt/zajil-new/bin/pip install --no-deps --no-build-isolation .": _PIP,
    "/opt/zajil-new/bin/zajil upgrade rehearse": _PIP,
    "python3 -m venv /opt/zajil": _PIP,
    "/opt/zajil/bin/pip install --require-hashes -r requirements.lock": _PIP,
    "/opt/zajil/bin/pip install --no-deps --no-build-isolation .": _PIP,
    "/opt/zajil/bin/pip install --no-deps --no-build-isolation --force-reinstall .": _PIP,
    "ln -s /opt/zajil/bin/zajil /usr/local/bin/zajil": _PIP,
    "useradd --system --home-dir /var/lib/zajil --shell /usr/sbin/nologin zajil": _PIP,
    "cp /opt/zajil/share/zajil/systemd/* /etc/systemd/system/": _PIP,
    "rm /etc/systemd/system/zajil.sysusers && systemctl daemon-reload": _PIP,
    "man zajil": _PIP,
    "systemctl enable --now zajil-smtp.socket zajil-submission.socket zajil-submissions.socket": (
        _PIP
    ),
    "systemctl enable --now zajil-imap.socket zajil-imaps.socket zajil-pop3.socket "
    "zajil-pop3s.socket zajil-http.socket zajil-https.socket": _PIP,
}
"""Command to the test that runs it, with other names where it has to."""

_NO_ENGINE = "a container engine cannot run where the tests run; the image does, in test_oci_image"
_NO_SYSTEMD = "systemd does not run where the tests run; the units are checked by test_systemd_unit"
_BUILD_PROGRAMS = "installs programs on the machine; .ci/run installs the same"
NOT_RUN: dict[str, str] = {
    "apt-get install debhelper git python3-venv": _BUILD_PROGRAMS,
    "apt-get install buildah debhelper git mmdebstrap python3-venv": _BUILD_PROGRAMS,
    "apt-get install unbound": _BUILD_PROGRAMS,
    "apt-get install pst-utils": _BUILD_PROGRAMS,
    "openssl x509 -in cert.pem -noout -fingerprint -sha256": "for the other server",
    "podman load --input dist/zajil_*.oci.tar": _NO_ENGINE,
    "podman run --rm -it --read-only --volume zajil:/var/lib/zajil zajil setup "
    "--dir /var/lib/zajil example.org": _NO_ENGINE,
    "podman run --detach --name zajil --read-only --cap-drop all --security-opt no-new-privileges "
    "--sysctl net.ipv4.ip_unprivileged_port_start=0 --stop-timeout 40 "
    "--volume zajil:/var/lib/zajil --publish 25:25 --publish 80:80 --publish 443:443 "
    "--publish 465:465 --publish 587:587 --publish 993:993 zajil": _NO_ENGINE,
    "podman exec zajil zajil account list": _NO_ENGINE,
    "podman exec zajil zajil self-check": _NO_ENGINE,
    "podman kill --signal HUP zajil": _NO_ENGINE,
    "ssh -L 8025:127.0.0.1:8025 root@mail.example.org": "needs a second machine",
    "journalctl -u zajil": _NO_SYSTEMD,
    "journalctl -u zajil -p warning": _NO_SYSTEMD,
    "systemctl edit zajil": _NO_SYSTEMD,
    "systemctl reload zajil": _NO_SYSTEMD,
    "systemctl restart zajil": _NO_SYSTEMD,
    "systemctl start zajil": _NO_SYSTEMD,
    "systemctl stop zajil": _NO_SYSTEMD,
}
"""Command to the reason why no test runs it."""
