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

// Select all messages of the page. The list may be replaced while the page is open (live.js).
const showAll = () => document.querySelectorAll(".mark-all").forEach((one) => (one.hidden = false));
document.addEventListener("zajil:list", showAll);
document.addEventListener("change", (event) => {
  if (event.target.id !== "all") return;
  for (const box of document.querySelectorAll(".letters input[name=uid]")) box.checked = event.target.checked;
});
showAll();

// Keys, as mail programs have them; never while somebody types.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog")) return;
  const rows = [...document.querySelectorAll(".letters a.open")];
  const at = rows.findIndex((row) => row.closest("li").contains(document.activeElement));
  if (rows.length && (event.key === "j" || event.key === "k")) {
    rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)))].focus();
  } else if (event.key === "x" && at >= 0) {
    rows[at].closest("li").querySelector("input[name=uid]").click();
  } else if (event.key === "?") {
    document.querySelector("#keys")?.showModal();
  } else {
    document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click();
  }
});
