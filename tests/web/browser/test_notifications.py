"""Notifications in a browser: the page asks for them, and its service worker shows what comes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kit.browser import log_in, new_person, window
from kit.lab_process import LabDomain

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]

_SHOWN = """async () => {
  const { active } = await navigator.serviceWorker.ready;
  const registration = await navigator.serviceWorker.getRegistration("/");
  for (let tries = 0; tries < 600; tries++) {
    const [one] = await registration.getNotifications();
    if (one) return [one.title, one.body, one.tag, one.data, active.scriptURL, registration.scope];
    await new Promise((next) => setTimeout(next, 100));
  }
}"""


def test_the_service_worker_shows_what_comes(chromium: Any, north: LabDomain) -> None:
    person = new_person(north)
    with window(chromium, person.url, permissions=["notifications"]) as page:
        log_in(page, person)
        page.goto("/account/notifications")
        page.get_by_role("button", name="Allow in this browser").wait_for()
        assert not page.locator("[data-without-push]").is_visible()
        page.evaluate("navigator.serviceWorker.register('/push-worker.js', { scope: '/' })")
        cdp = page.context.new_cdp_session(page)
        found: list[str] = []
        cdp.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: found.extend([one["registrationId"] for one in event["registrations"]]),
        )
        page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
        cdp.send("ServiceWorker.enable")
        while not found:
            page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
        told = {"title": "New message from Noor", "body": "Flowers", "tag": "1/2", "path": "/mail"}
        message = {"origin": person.url, "registrationId": found[-1], "data": json.dumps(told)}
        cdp.send("ServiceWorker.deliverPushMessage", message)
        shown = page.evaluate(_SHOWN)
        assert shown[:4] == ["New message from Noor", "Flowers", "1/2", "/mail"]
        assert shown[4:] == [f"{person.url}/push-worker.js", f"{person.url}/"]


def test_without_scripts_the_page_says_what_is_missing(chromium: Any, north: LabDomain) -> None:
    person = new_person(north)
    with window(chromium, person.url, java_script_enabled=False) as page:
        log_in(page, person)
        page.goto("/account/notifications")
        assert page.locator("[data-without-push]").is_visible()
        assert not page.get_by_role("button", name="Allow in this browser").is_visible()
        page.get_by_label("Nothing: pause all notifications").check()
        page.get_by_role("button", name="Save").click()
        page.wait_for_url(re.compile("/account/notifications"))
        page.get_by_text("Your settings were saved.").wait_for()
