"""Where the lab keeps large messages in S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from zajil.lab.objects import BadObjectsPlace, LabObjects, split_place
from zajil.lab.run import LabRequest, run_lab


@pytest.mark.parametrize(
    ("place", "bucket", "access"),
    [
        ("s3://mail", "mail", {}),
        ("s3://mail/x/y/", "mail/x/y", {}),
        (
            "http://me:a%2Fb@127.0.0.1:9000/mail/x",
            "mail/x",
            {
                "endpoint": "http://127.0.0.1:9000/",
                "region": "us-east-1",
                "access_key": "me",
                "secret_key": "a/b",
            },
        ),
        (
            "https://s3.example.net/mail",
            "mail",
            {"endpoint": "https://s3.example.net/", "region": "us-east-1"},
        ),
    ],
)
def test_places(place: str, bucket: str, access: dict[str, str], tmp_path: Path) -> None:
    assert split_place(place) == (bucket, access)
    options = LabObjects(place, tmp_path, 0).options("north")
    assert options["blobs"] == f"s3://{bucket}/north"
    assert options.get("s3", {}) == access


@pytest.mark.parametrize(
    "place", ["", "mail", "embeded", "s3://", "https://host", "ftp://host/mail", "http://[::1/mail"]
)
def test_what_is_no_place_is_said(place: str) -> None:
    with pytest.raises(BadObjectsPlace, match="use `embedded`, s3://BUCKET or"):
        split_place(place)


def test_without_s3_there_is_nothing_to_set(tmp_path: Path) -> None:
    assert LabObjects(None, tmp_path, 0).options("north") == {}


def test_objects_in_memory_need_a_lab_that_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_lab(LabRequest(folder=tmp_path, objects="embedded")) == 2
    assert "cannot be used with --dir" in capsys.readouterr().err
