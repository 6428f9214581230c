// Small comforts for every page; each page is whole without them.

const root = document.documentElement;

// The server writes times; only the browser knows where on Earth they are read.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const zoneCookie = `${root.dataset.cookie}_zone`;
if (zone && root.dataset.cookie) {
  document.cookie = `${zoneCookie}=${zone}; path=/; max-age=31536000; samesite=lax`;
}

// The theme changes at once; the form's answer (a redirect) is not needed.
for (const button of document.querySelectorAll("button.theme")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    root.dataset.theme = button.value;
    const body = new URLSearchParams(new FormData(button.form));
    body.set("theme", button.value);
    fetch(button.form.action, { method: "POST", body, redirect: "manual" });
  });
}

// Mark all mails of the page.
const all = document.querySelector("#all");
all?.addEventListener("change", () => {
  for (const box of document.querySelectorAll(".letters input[name=uid]")) box.checked = all.checked;
});
if (all) all.closest(".mark-all").hidden = false;

// Keys, as mail programs have them; never while somebody types.
const keys = { c: "[data-key=c]", r: "[data-key=r]", u: "[data-key=u]" };
const rows = [...document.querySelectorAll(".letters a.open")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (event.key === "j" || event.key === "k") {
    const at = rows.indexOf(document.activeElement);
    rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)))]?.focus();
  } else if (keys[event.key]) {
    document.querySelector(keys[event.key])?.click();
  }
});

// A journey that goes on is looked at again, unless somebody is reading its details.
const story = document.querySelector("[data-refresh]");
async function follow() {
  if (!story.querySelector("details[open]") && !document.hidden) {
    const page = await fetch(location.href);
    const fresh = new DOMParser()
      .parseFromString(await page.text(), "text/html")
      .querySelector("main > div");
    if (page.ok && fresh) story.replaceChildren(...document.adoptNode(fresh).childNodes);
    if (page.ok && fresh && !fresh.dataset.refresh) return;
  }
  setTimeout(follow, 1000 * Number(story.dataset.refresh));
}
if (story) setTimeout(follow, 1000 * Number(story.dataset.refresh));
