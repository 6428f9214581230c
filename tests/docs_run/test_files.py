"""The files that pages of ``docs/run`` show are accepted by the programs that read them."""

from __future__ import annotations

import configparser
import itertools
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from kit.command_line import Run
from kit.foreign import need_program
from kit.operator_page import PAGES, Block, blocks_of
from kit.operator_scenes import s3_access
from kit.operator_world import World, merged, own_places
from kit.store import PostgresServer
from zajil.config.options_server import StoreOptions
from zajil.store.engine.life import create_store

ROOT = Path(__file__).parents[2]
BLOCKS = [block for name in PAGES for block in blocks_of(name)]
OURS = [block for block in BLOCKS if block.language == "toml"]
COMMANDS = ("sh", "console")
TESTED_ELSEWHERE = {
    ("https", "nginx"): "tests/interop/test_reverse_proxies.py",
    ("https", "haproxy"): "tests/interop/test_reverse_proxies.py",
    ("https", "caddy"): "tests/interop/test_reverse_proxies.py",
    ("log", "ini"): "tests/net/test_real_log.py",
}
"""Page and language to the test that uses the file."""
TESTED_HERE = {
    ("monitoring", "yaml"),
    ("monitoring", "haproxy"),
    ("log", "logrotate"),
    ("log", "text"),
    ("postgresql", "sql"),
    ("s3", "json"),
}
ROUTES = {"smarthost": {"host": "smtp.provider.example"}}
"""What the page has said before its routes."""


def name_of(block: Block) -> str:
    return f"{block.page}-{block.line}"


def only(page: str, language: str) -> str:
    """Return the one block of a language on a page."""
    (block,) = [one for one in BLOCKS if (one.page, one.language) == (page, language)]
    return block.text


_OF_OTHERS = ("server.user", "mail.echo_accounts", "alerts.to")
"""Root, and accounts that the page makes before."""


@pytest.mark.parametrize("block", OURS, ids=name_of)
def test_options_are_right(block: Block, world: World, run: Run) -> None:
    """Added to the file of a server whose other files are there, ``config check`` has no doubt."""
    folder = world.configuration.parent
    text = block.text.replace("/etc/zajil", str(folder)).replace("/var/log/zajil", str(world.home))
    places = itertools.islice(own_places(), 100, None)
    usual = r'"(?:0\.0\.0\.0|\[::\]|127\.0\.0\.1):\d+"'
    text = re.sub(usual, lambda _: f'"{next(places)}"', text)
    if block.page == "shards":  # SQLite stands for another database
        text = re.sub(r'"postgresql://[^"]+"', '"sqlite"', text)
    tree = tomllib.loads(text)
    for file in _secrets(tree):
        _write(folder / file, b"sqlite\n" if "store" in tree else b"c2VjcmV0IG9mIHRlc3Rz\n")
    for pair in tree.get("tls", {}).get("more", ()):
        for kind, name in (("certificate", "certificate.pem"), ("key", "key.pem")):
            _write(folder / pair[kind], (folder / "tls" / name).read_bytes())
    options = tomllib.loads(world.configuration.read_text("utf-8"))
    if "acme" in tree:
        del options["tls"]
    if "routes" in tree.get("deliver", {}):
        options |= ROUTES
    world.write(merged(options, tree))
    with ExitStack() as stack:
        if block.page == "s3":
            s3_access(world, stack)
        status, out, err = run("config", "check", "--json")
    told = json.loads(out)
    doubts = [one for one in told["warnings"] if one["option"] not in _OF_OTHERS]
    if block.page == "shards":  # the next step of the page creates it
        (mistake,) = told["mistakes"]
        assert (status, "run `zajil shard create north`" in mistake["reason"]) == (1, True)
        return
    assert (status, told["mistakes"], doubts, err) == (0, [], [], "")


def _secrets(value: Any) -> Iterator[str]:
    """Give the files that values are read from: ``{ file = "name" }``."""
    if isinstance(value, dict) and isinstance(value.get("file"), str) and len(value) == 1:
        yield value["file"]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _secrets(one)


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)


@pytest.mark.interop
def test_prometheus(tmp_path: Path) -> None:
    promtool = need_program("promtool")
    shutil.copy(ROOT / "packaging" / "prometheus" / "zajil.rules.yml", tmp_path)
    (tmp_path / "prometheus.yml").write_text(only("monitoring", "yaml"))
    command = [promtool, "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rule files found" in done.stdout


@pytest.mark.interop
def test_haproxy(tmp_path: Path) -> None:
    head = "defaults\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
    head += "frontend mail\n mode tcp\n bind 127.0.0.1:2525\n default_backend smtp\n"
    (tmp_path / "haproxy.cfg").write_text(head + only("monitoring", "haproxy"))
    command = [need_program("haproxy"), "-c", "-f", str(tmp_path / "haproxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.interop
def test_logrotate(tmp_path: Path) -> None:
    log = tmp_path / "zajil.log"
    log.write_text("a line\n")
    text = only("log", "logrotate").replace("/var/log/zajil/zajil.log", str(log))
    text = text.replace("zajil adm", "root root")
    (tmp_path / "rotate").write_text(text)
    (tmp_path / "rotate").chmod(0o644)
    command = [need_program("logrotate"), "--force", "--state", str(tmp_path / "state")]
    done = subprocess.run([*command, str(tmp_path / "rotate")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "zajil.log.1").read_text() == "a line\n"


def test_lines_of_the_log_have_the_keys_of_its_table() -> None:
    page = (ROOT / "docs" / "run" / "log.md").read_text("utf-8")
    for line in only("log", "text").splitlines():
        event = line.split()[2]
        (row,) = re.findall(rf"(?m)^\| `{re.escape(event)}` \|.*\| `(.*)` \|$", page)
        keys = re.findall(r" (\w+)=", re.sub(r'"[^"]*"', "", line))
        known = row.replace("[", "").replace("]", "").split()
        assert keys == [key for key in known if key in keys], line


def test_a_database_is_made(postgres: PostgresServer, tmp_path: Path) -> None:
    name = f"docs_{os.urandom(6).hex()}"
    address = sa.make_url(postgres.new_url())
    with psycopg.connect(postgres.new_url(), autocommit=True) as conn:
        for statement in only("postgresql", "sql").replace("zajil", name).split(";"):
            conn.execute(statement.encode())
    mine = address.set(username=name, database=name, query={"host": address.query["host"]})
    create_store(StoreOptions(url=mine.render_as_string()), tmp_path / "data")


def test_every_block_is_tested() -> None:
    for block in BLOCKS:
        if block.language in (*COMMANDS, "toml"):
            continue
        place = (block.page, block.language)
        assert place in TESTED_HERE or place in TESTED_ELSEWHERE, name_of(block)
    for file in TESTED_ELSEWHERE.values():
        assert (ROOT / file).exists()


def test_the_policy_of_the_bucket_is_json() -> None:
    (block,) = (block for block in BLOCKS if (block.page, block.language) == ("s3", "json"))
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"} <= set(
        re.findall(r"s3:\w+", json.dumps(json.loads(block.text)))
    )


def test_fail2ban_files_can_be_read() -> None:
    for block in BLOCKS:
        if block.language == "ini":
            configparser.ConfigParser(interpolation=None).read_string(block.text)
