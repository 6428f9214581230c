"""The configuration of each shard, and what is wrong in ``store.shards``."""

from __future__ import annotations

from pathlib import Path

import pytest

from zajil.config.load import BadConfiguration, parse_configuration
from zajil.config.options import Configuration
from zajil.config.shards import NoSuchShard, configuration_of, shard_names

_SERVER = '[server]\nhostname = "mx.example.org"\ndata_dir = "data"\n'


def _read(text: str) -> Configuration:
    return parse_configuration(_SERVER + text, Path("/etc/zajil.toml"))


def test_a_shard_has_a_database_a_folder_and_backups_of_its_own() -> None:
    configuration = _read(
        '[store.shards]\nnorth = { url = "postgresql:///north" }\n'
        'south = { url = "postgresql:///south", replica_url = "postgresql:///standby", '
        'backup = "elsewhere" }\n'
        '[store]\nurl = "postgresql:///main"\nreplica_url = "postgresql:///another"\n'
        '[backup]\ntarget = "copies"\n'
        '[acme]\ndirectory = "https://authority.example/"\nagree_terms = true\n'
    )
    assert shard_names(configuration) == ("main", "north", "south")
    north, south = (configuration_of(configuration, name) for name in ("north", "south"))
    assert north.store.url == "postgresql:///north"
    assert north.server.data_dir == Path("/etc/data/shards/north")
    assert north.backup.target == "/etc/copies-north"
    assert south.backup.target == "/etc/elsewhere"
    assert (north.store.replica_url, south.store.replica_url) == (None, "postgresql:///standby")
    assert configuration_of(configuration, "main") is configuration
    # Certificates are obtained once for the server.
    assert north.acme.directory is None
    assert north.listen == configuration.listen


def test_shards_lie_beside_each_other_in_a_bucket() -> None:
    configuration = _read(
        '[store]\nblobs = "s3://bucket/mail"\n'
        'shards = { north = { url = "sqlite" }, south = { url = "sqlite", blobs = "files" } }\n'
        '[backup]\ntarget = "s3://bucket/backups/"\n'
    )
    north, south = (configuration_of(configuration, name) for name in ("north", "south"))
    assert (north.store.blobs, north.backup.target) == (
        "s3://bucket/mail-north",
        "s3://bucket/backups-north",
    )
    assert south.store.blobs == "files"


def test_an_unknown_shard_is_named_with_those_that_exist() -> None:
    with pytest.raises(NoSuchShard, match="no shard 'east'; there are: main, north"):
        configuration_of(_read('[store.shards]\nnorth = { url = "sqlite" }\n'), "east")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[store.shards]\nmain = { url = "sqlite" }', "store.shards.main: 'main' is not a name"),
        ('[store.shards]\n"a/b" = { url = "sqlite" }', "store.shards.a/b: 'a/b' is not a name"),
        ("[store.shards]\nnorth = {}", "store.shards.north.url: it is required"),
        ("[store]\nshards = 3", "store.shards: it is a table"),
        (
            '[store]\nurl = "postgresql:///one"\nshards = { x = { url = "postgresql:///one" } }',
            "store.shards: two shards have the same database and schema",
        ),
        (
            '[store]\nblobs = "s3://bucket"\nshards = { x = { url = "sqlite" } }',
            "store.shards.x.blobs: s3://bucket is a whole bucket",
        ),
        (
            '[store.shards]\nx = { url = "sqlite" }\n[backup]\ntarget = "s3://bucket"',
            "store.shards.x.backup: s3://bucket is a whole bucket",
        ),
    ],
)
def test_mistakes_name_the_shard(text: str, reason: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        _read(text)
    assert reason in str(caught.value)
