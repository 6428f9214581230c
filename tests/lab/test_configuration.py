"""The configuration files that the lab writes."""

from __future__ import annotations

import random
import tomllib
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.config.load import BadConfiguration, load_configuration
from zajil.lab.addresses import LabPlace, PortBlock
from zajil.lab.configuration import LabSurroundings, server_options, toml_text, write_configuration
from zajil.lab.domains import lab_domains

LAB = LabSurroundings("127.0.0.1:5353", Path("/lab/ca/ca.pem"), 2, {})
PORTS = PortBlock(None, 1, random.randrange)
PORTS.close()
PLACE = LabPlace(IPv4Address("127.1.0.3"), {**PORTS.places[0].ports, "smtp": 20025})
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OPTION = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
VALUE = TEXT | st.integers(-(2**62), 2**62) | st.booleans() | st.lists(TEXT, max_size=3)


@given(st.dictionaries(OPTION, VALUE | st.dictionaries(TEXT.filter(bool), TEXT)))
def test_what_is_written_is_read(values: dict[str, object]) -> None:
    assert tomllib.loads(toml_text({"group": values}, "title")) == {"group": values}


def test_the_file_is_a_whole_configuration(tmp_path: Path) -> None:
    arabic = lab_domains()[2]
    file = tmp_path / "zajil.toml"
    options = server_options(arabic, PLACE, {"url": "sqlite"}, LAB)
    write_configuration(file, options, ["queue.first_retry=3s", "listen.web=[]"], "a title")
    configuration = load_configuration(file)
    assert configuration.server.hostname == f"mx.{arabic.ascii_domain}"
    assert configuration.listen.smtp == ("127.1.0.3:20025",)
    assert configuration.listen.web == ()
    assert configuration.listen.imaps == (f"127.1.0.3:{PLACE.ports['imaps']}",)
    assert configuration.deliver.port == 20025
    assert configuration.deliver.source_address == "127.1.0.3"
    assert configuration.queue.first_retry_ms == 3000
    assert (configuration.limits.sessions_per_address, configuration.limits.login_failures) == (
        0,
        0,
    )


def test_a_table_of_ports_where_there_is_one_address(tmp_path: Path) -> None:
    table = {"mx.north.test": "127.0.0.1:20001", "mx.south.test": "127.0.0.1:20002"}
    lab = LabSurroundings(LAB.nameserver, LAB.ca_file, 1, table)
    file = tmp_path / "zajil.toml"
    write_configuration(
        file, server_options(lab_domains()[0], PLACE, {"url": "sqlite"}, lab), [], ""
    )
    assert load_configuration(file).deliver.port_table == table


@pytest.mark.parametrize(
    ("override", "named"),
    [("queue.frist_retry=1s", "queue.first_retry"), ("queue.first_retry=1", "queue.first_retry")],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, named: str) -> None:
    options = server_options(lab_domains()[0], PLACE, {"url": "sqlite"}, LAB)
    with pytest.raises(BadConfiguration, match=named) as refused:
        write_configuration(tmp_path / "zajil.toml", options, [override], "")
    assert refused.value.file == "--set"
