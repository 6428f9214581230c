"""The ARC test suite, if it is at hand: ``ZAJIL_ARC_SUITE`` names the folder of its YAML files.

https://github.com/ValiMail/arc_test_suite, folder ``tests``. It is not kept here.

Deviation: two of its tests expect a pass for rsa-sha1, which RFC 8301 section 3.1 forbids.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from kit.zone import Zone, run_flow_on_zone
from zajil.mailauth.arc import verify_arc
from zajil.mailauth.arc_seal import SEAL_NEED, claimed_cv, merge_results, seal_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_sign import load_signing_key
from zajil.message.fields import Field, read_fields, split_message

NOW_S = 1_500_000_000


def load_cases(name: str) -> list[Any]:
    folder = os.environ.get("ZAJIL_ARC_SUITE")
    if not folder:
        reason = "ZAJIL_ARC_SUITE is not set"
        return [pytest.param({}, {}, marks=pytest.mark.skip(reason), id="absent")]
    yaml = pytest.importorskip("yaml")
    text = (Path(folder) / name).read_text("utf-8")
    return [
        pytest.param(scenario, test, id=key)
        for scenario in yaml.safe_load_all(text)
        for key, test in scenario["tests"].items()
    ]


def zone_of(scenario: dict[str, Any]) -> Zone:
    records = scenario.get("txt-records") or {}
    return {name: {"TXT": ["".join(text.split("\n"))]} for name, text in records.items()}


def load_message(text: str) -> tuple[bytes, list[Field], BodyDigests]:
    message = re.sub(rb"\r?\n", b"\r\n", text.encode())
    end, start = split_message(message)
    fields = read_fields(message[:end])
    digests = BodyDigests((*body_needs(fields), SEAL_NEED))
    digests.feed(message[start:])
    return message[:end], fields, digests


@pytest.mark.parametrize(("scenario", "test"), load_cases("arc-draft-validation-tests.yml"))
def test_validation(scenario: dict[str, Any], test: dict[str, Any]) -> None:
    found = run_flow_on_zone(verify_arc(*load_message(test["message"]), NOW_S), zone_of(scenario))
    expected = (test["cv"] or "fail").lower()
    if "=rsa-sha1" in test["message"]:
        expected = "fail"
    assert found.cv == expected, found.reason


@pytest.mark.parametrize(("scenario", "test"), load_cases("arc-draft-sign-tests.yml"))
def test_sealing(scenario: dict[str, Any], test: dict[str, Any]) -> None:
    header, fields, digests = load_message(test["message"])
    authserv_id = test["srv-id"]
    found = run_flow_on_zone(verify_arc(header, fields, digests, NOW_S), zone_of(scenario))
    sealed = seal_arc(
        header,
        fields,
        digests,
        load_signing_key(scenario["privatekey"].encode(), scenario["domain"], scenario["sel"]),
        authserv_id=authserv_id,
        results=merge_results(fields, authserv_id),
        cv=claimed_cv(fields, authserv_id) or found.cv,
        now_s=int(test["t"]),
        headers=[name.encode() for name in test["sig-headers"].split(":")],
    )
    tags = {field.name.decode(): tags_of(field.value.decode()) for field in read_fields(sealed)}
    assert tags.get("arc-authentication-results", set()) == tags_of(test["AAR"])
    assert tags.get("arc-message-signature", set()) == tags_of(test["AMS"])
    assert tags.get("arc-seal", set()) == tags_of(test["AS"])


def tags_of(text: str) -> set[str]:
    """Give the tags in any order and without white space, as the suite compares them."""
    return {tag for tag in "".join(text.split()).split(";") if tag}
