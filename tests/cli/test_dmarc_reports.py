"""``zajil dmarc reports`` as an operator and other programs meet it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.reports import BEGIN_S, OLD_REPORT, REPORT, ROW, counted
from zajil.cli.main import main
from zajil.config.load import load_configuration
from zajil.operations.run import open_admin_store
from zajil.reports.dmarc.write_xml import write_report
from zajil.store.reports.intervals import count_intervals

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
            main(["dmarc", "reports", *arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


def as_json(run: Run, *arguments: str) -> dict[str, Any]:
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_report_is_imported_listed_and_shown(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.xml.gz"
    file.write_bytes(gzip.compress(write_report(REPORT)))
    assert as_json(run, "import", str(file)) == {"id": 1, "new": True}
    assert as_json(run, "import", str(file)) == {"id": None, "new": False}
    found = as_json(run)
    (report,), (worst, _) = found["reports"], found["sources"]
    assert (report["domain"], report["messages"], report["passed"]) == ("north.test", 5, 3)
    assert (worst["source_ip"], worst["messages"], worst["passed"]) == ("2001:db8::66", 2, 0)
    shown = as_json(run, "show", "1")
    assert shown["report"]["rows"][0]["source_ip"] == "192.0.2.7"
    assert "2001:db8::66" in run("show", "1")[1]
    assert "mx.south.test" in run()[1]


def test_what_is_not_ours_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    file.write_bytes(OLD_REPORT.replace(b"North.Test", b"other.example"))
    status, _, err = run("import", str(file))
    assert (status, "not a domain of this server" in err) == (1, True)
    file.write_bytes(b"Subject: hello\r\n\r\n")
    assert run("import", str(file))[0] == 1
    assert run("import", str(tmp_path / "none"))[0] == 1
    assert run("show", "7")[0] == 1


def test_without_mail_nothing_is_sent(run: Run) -> None:
    assert as_json(run, "send", "--now") == {"sent": []}


def test_a_report_that_is_due_is_sent_and_told_as_json_alone(run: Run) -> None:
    """Programs read stdout: nothing but the object may stand there."""
    begin_ms, rua = BEGIN_S * 1000, ("mailto:dmarc-reports@north.test",)
    seen = counted(ROW, begin_ms=begin_ms, end_ms=begin_ms + 86_400_000, report_to=rua)
    with open_admin_store(load_configuration(Path(os.environ["ZAJIL_CONFIG"]))) as store:
        store.write_now(count_intervals, (seen,))
    (sent,) = as_json(run, "send")["sent"]
    assert (sent["domain"], sent["begin_ms"]) == ("north.test", begin_ms)
    assert sent["recipients"] == ["dmarc-reports@north.test"]
