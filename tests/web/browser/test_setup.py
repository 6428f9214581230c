"""``zajil setup --web`` in a real browser: all its pages, in each language, without JavaScript."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.browser import AXE_RULES, PHONE, WIDTHS, describe_violation, what_sticks_out, window

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]

PASSWORD = "correct horse battery"


@contextmanager
def served_setup() -> Iterator[str]:
    """Run the command; the value is the address that it prints."""
    command = [sys.executable, "-m", "zajil", "setup", "--web"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            text = "".join(process.stdout.readline() for _ in range(7))
            found = re.search(r"http://127\.0\.0\.1:\d+/start/[0-9a-f]{48}", text)
            assert found is not None
            yield found[0]
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server's user can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "theme", "shape"),
    [("en-GB", "light", None), ("ar", "dark", PHONE), ("fr", "light", PHONE)],
)
def test_every_page_of_setup_is_accessible(
    locale: str, theme: str, shape: dict[str, int] | None, chromium: Any, open_folder: Path
) -> None:
    """The questions, mistakes, the test of the machine, the records, the end."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options: dict[str, Any] = {"locale": locale, "color_scheme": theme}
    if shape is not None:
        options["viewport"] = shape
    # The mistakes are answered with 422, which the console shows.
    with (
        served_setup() as start,
        window(chromium, start.partition("/start")[0], expected=["422"], **options) as page,
    ):
        faults: dict[str, list[str]] = {}

        def look(name: str) -> None:
            violations = axe.run(page, options=AXE_RULES).response["violations"]
            found = [describe_violation(one) for one in violations]
            size = page.viewport_size
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                if beyond := what_sticks_out(page):
                    found.append(f"wider than {width}: {beyond}")
            page.set_viewport_size(size)
            if shots := os.environ.get("ZAJIL_SHOTS"):
                page.screenshot(path=f"{shots}/{locale}-{name}.png", full_page=True)
            if found:
                faults[name] = found

        page.goto(start)
        look("questions")
        page.fill("#domain", "localhost")
        page.check("#tls-self-signed")
        page.check("#sending-smarthost")
        page.click("main form.card button")
        look("mistakes")
        page.fill("#domain", "زاجل.مصر")
        page.fill("#folder", str(open_folder / "mail"))
        page.fill("#addresses", "127.0.0.1")
        if page.locator("#user").count():
            page.fill("#user", "nobody")
        page.check("#sending-direct")
        page.fill("#admin", "سلمى")
        for field in ("#password", "#again"):
            page.fill(field, PASSWORD)
        page.click("main form.card button")
        page.wait_for_selector("form[action='/write']")
        look("test of the machine")
        page.reload()
        page.go_back()
        page.go_forward()
        page.dblclick("form[action='/write'] button")
        page.wait_for_url("**/done")
        look("records")
        page.go_back()
        page.reload()
        page.wait_for_url("**/done")
        page.click("form[action='/end'] button")
        page.wait_for_selector("main.door, body.door")
        look("end")
        assert faults == {}
    assert (open_folder / "mail" / "zajil.toml").exists()
