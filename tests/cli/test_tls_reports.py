"""``zajil tls reports`` as an operator meets it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kit.reports import REPORT, TLS_REPORT
from zajil.cli.main import main
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.tls.json_format import write_tls_report

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    template: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command for a copy of that server; give status, stdout, stderr."""
    server = Path(shutil.copytree(template, tmp_path / "mail")) / "zajil.toml"
    monkeypatch.setenv("ZAJIL_CONFIG", str(server))

    def run_command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


def test_a_report_is_imported_listed_and_explained(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.json.gz"
    file.write_bytes(gzip.compress(write_tls_report(TLS_REPORT)))
    assert run("tls", "reports", "import", str(file)) == (0, "imported as report 1\n", "")
    assert run("tls", "reports", "import", str(file))[1] == "this report was imported before\n"
    status, out, _ = run("tls", "reports", "--json")
    (report,) = json.loads(out)["reports"]
    assert (status, report["domain"], report["messages"], report["passed"]) == (
        *(0, "north.test"),
        *(12, 9),
    )
    listed = run("tls", "reports")[1]
    assert "mx.south.test" in listed
    assert "`zajil tls reports show 1` shows what failed." in listed
    shown = run("tls", "reports", "show", "1")[1]
    assert "MTA-STS policy of north.test" in shown
    assert "3 x certificate-expired: The certificate has expired." in shown
    assert "server mx.north.test, 192.0.2.25" in shown
    assert json.loads(run("tls", "reports", "show", "1", "--json")[1])["report"]["policies"]


def test_each_kind_has_its_own_list(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "report"
    for data in (write_tls_report(TLS_REPORT), write_report(REPORT)):
        file.write_bytes(data)
        assert run("tls", "reports", "import", str(file))[0] == 0
    assert len(json.loads(run("tls", "reports", "--json")[1])["reports"]) == 1
    assert len(json.loads(run("dmarc", "reports", "--json")[1])["reports"]) == 1
    assert run("tls", "reports", "show", "2")[::2] == (1, "zajil: report 2 is not a TLS report\n")
    assert run("dmarc", "reports", "show", "1")[0] == 1


def test_a_report_about_another_domain_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "report"
    other = replace(TLS_REPORT.policies[0], domain="else.test")
    file.write_bytes(write_tls_report(replace(TLS_REPORT, policies=(other,))))
    status, _, err = run("tls", "reports", "import", str(file))
    assert (status, "it is about else.test" in err) == (1, True)


def test_nothing_is_due(run: Run) -> None:
    assert run("tls", "reports", "send", "--now")[:2] == (0, "nothing is due\n")
