// Small comforts for every page; each page is whole without them.

const root = document.documentElement;

// The server writes times; only the browser knows where on Earth they are read.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const zoneCookie = `${root.dataset.cookie}_zone`;
if (zone && root.dataset.cookie) {
  document.cookie = `${zoneCookie}=${zone}; path=/; max-age=31536000; samesite=lax`;
}

// On a phone the tabs are one row that is drawn aside.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

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

// A change of language loses nothing that was typed. Scripts that save drafts put a promise into
// `event.detail.until`; what nobody saves is kept in this tab and comes back after the change.
const kept = `zajil:typed:${location.pathname}${location.search}`;
const typed = () => [...document.querySelectorAll("main :is(input, textarea, select)[name]:not([type=hidden], [type=file], [type=password])")];
for (const button of document.querySelectorAll("button[name=language]")) {
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    const until = [];
    document.dispatchEvent(new CustomEvent("zajil:leave", { detail: { until } }));
    await Promise.allSettled(until);
    const values = typed().map((one) => [one.name, one.type === "checkbox" || one.type === "radio" ? one.checked : one.value]);
    if (!until.length && document.querySelector("main textarea")) sessionStorage.setItem(kept, JSON.stringify(values));
    const chosen = new FormData(button.form);
    chosen.set("language", button.value);
    await fetch(button.form.action, { method: "POST", body: new URLSearchParams(chosen), redirect: "manual" });
    location.assign(chosen.get("next"));
  });
}
const before = sessionStorage.getItem(kept);
if (before) {
  sessionStorage.removeItem(kept);
  const fields = typed();
  JSON.parse(before).forEach(([name, value], at) => {
    if (fields[at]?.name !== name) return;
    if (typeof value === "boolean") fields[at].checked = value;
    else fields[at].value = value;
  });
}

// A toast goes away by itself, unless somebody is about to use it.
function fade(toast) {
  if (toast.matches(":hover, :focus-within")) setTimeout(fade, 3000, toast);
  else toast.querySelector("p")?.replaceChildren();
}
document.querySelectorAll(".toast").forEach((one) => setTimeout(fade, 12000, one));
document.addEventListener("zajil:toast", (event) => setTimeout(fade, 12000, event.detail));

// Select all messages of the page. The list may be replaced while the page is open (live.js).
const showAll = () => document.querySelectorAll(".mark-all").forEach((one) => (one.hidden = false));
document.addEventListener("zajil:list", showAll);
document.addEventListener("change", (event) => {
  if (event.target.id !== "all") return;
  for (const box of document.querySelectorAll(".letters input[name=uid]")) box.checked = event.target.checked;
});
showAll();

// Keys, as mail programs have them; never while somebody types.
let prefix = ""; // "g " after a g: the next key says where to go
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog")) return;
  const rows = [...document.querySelectorAll(".letters a.open")];
  const at = rows.findIndex((row) => row.closest("li").contains(document.activeElement));
  const row = at >= 0 ? rows[at].closest("li") : document.querySelector(".letters li.here");
  const key = prefix + event.key;
  prefix = key === "g" ? "g " : "";
  if (rows.length && "jknp".includes(key)) {
    const from = at >= 0 ? at : rows.findIndex((one) => one.closest("li") === row);
    const next = rows[Math.max(0, Math.min(rows.length - 1, from + ("jn".includes(key) ? 1 : -1)))];
    next.focus();
    document.dispatchEvent(new CustomEvent("zajil:open", { detail: next.pathname }));
  } else if (key === "o" && at >= 0) {
    rows[at].click();
  } else if (key === "x" && row) {
    row.querySelector("input[name=uid]").click();
  } else if (key === "s" && row?.querySelector(".star")) {
    row.querySelector(".star").click();
  } else if (key === "?") {
    document.querySelector("#keys")?.showModal();
  } else {
    const named = `[data-key="${CSS.escape(key)}"]`;
    const isSelected = document.querySelector(".letters input[name=uid]:checked");
    const meant = (!isSelected && document.querySelector(`.reading ${named}`)) || document.querySelector(named);
    if (meant?.matches("input")) {
      event.preventDefault();
      meant.focus();
      return;
    }
    // With nothing selected a key acts on the message that the focus is on.
    const box = !isSelected && row && meant?.closest(".acts") && row.querySelector("input[name=uid]");
    if (box) box.checked = true;
    meant?.click();
  }
});
