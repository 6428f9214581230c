// The list without page loads: buttons act in place, and in a wide window a message is opened beside
// its list. Addresses, titles and Back are those of the pages; what is shown comes from the server.

const office = document.querySelector(".office");
const wide = matchMedia("(min-width: 75rem)");
const parse = (text) => new DOMParser().parseFromString(text, "text/html");
const list = () => document.querySelector("#list[data-shown]");
const rows = () => [...document.querySelectorAll(".list .letters > li")];
let pane = null;
let opened = null; // address of the message in the pane
let titleOfList = document.title;
let turn = 0;

function replaceList(fresh) {
  const old = list();
  const focused = old.contains(document.activeElement) && document.activeElement;
  for (const name of ["counts", "modseq", "address"]) old.dataset[name] = fresh.dataset[name];
  old.replaceChildren(...document.adoptNode(fresh).childNodes);
  if (focused) {
    const same = [...old.querySelectorAll("a, button, input")].find(
      (one) => one.href === focused.href && one.name === focused.name && one.value === focused.value,
    );
    same?.focus();
  }
  markOpened();
  document.dispatchEvent(new Event("zajil:list"));
}
document.addEventListener("zajil:fresh", (event) => replaceList(event.detail));

function markOpened() {
  for (const row of rows()) {
    const isHere = opened !== null && row.querySelector("a.open").pathname === opened;
    row.classList.toggle("here", isHere);
    // A conversation may have other messages that nobody has read.
    if (!isHere || row.querySelector(".many")) continue;
    row.classList.remove("unread");
    row.querySelector(".mark")?.replaceChildren();
  }
}

// A change of language or theme comes back to what is open.
function comeBackTo(address) {
  for (const field of document.querySelectorAll("form[action='/preferences'] [name=next]")) field.value = address;
}

function showToast(page) {
  const fresh = page.querySelector(".toast");
  const old = document.querySelector(".toast");
  if (!fresh || !old) return;
  old.replaceWith(document.adoptNode(fresh));
  document.dispatchEvent(new CustomEvent("zajil:toast", { detail: fresh }));
}

// ---- acts ----------------------------------------------------------------------------------------

// What will be so when the answer comes is shown before it: a star at once, and rows that leave.
const LEAVING = ["archive", "junk", "inbox", "delete", "restore", "move"];

function showBefore(form, button) {
  if (form.closest(".conversation")) return button?.matches(".star") && button.classList.toggle("on");
  const mine = form === list() ? rows().filter((row) => row.querySelector("[name=uid]:checked")) : rows().filter((row) => row.matches(".here"));
  if (button?.matches(".star")) button.classList.toggle("on");
  else if (["flag", "unflag"].includes(button?.value)) mine.forEach((row) => row.querySelector(".star")?.classList.toggle("on", button.value === "flag"));
  else if (button?.name === "action" && LEAVING.includes(button.value)) mine.forEach((row) => row.classList.add("leaving"));
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const isOurs = form.matches("#list[data-shown], .reading form[action^='/mail/'], .toast form[action='/mail/undo']");
  if (!isOurs || !list()) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  body.set("next", list().dataset.address);
  form.querySelectorAll("[popover]:popover-open").forEach((one) => one.hidePopover());
  // The live stream may replace the list before the answer comes.
  const at = rows().findIndex((row) => row.classList.contains("here"));
  const one = form.closest("[data-message]"); // of a conversation, not the one that the bar is for
  const isOther = one && opened !== `/mail/${one.dataset.message.replace(".", "/")}`;
  showBefore(form, event.submitter);
  const answer = await fetch(form.getAttribute("action"), { method: "POST", body }).catch(() => null);
  if (!answer) return location.reload(); // no connection: nothing was done, and nothing may look so
  const page = parse(await answer.text());
  const fresh = page.querySelector("#list[data-shown]");
  if (!answer.ok || !fresh) return location.assign(answer.redirected ? answer.url : location.href);
  // A star is not for the rows that are selected: they stay so.
  const boxes = event.submitter?.matches(".star") ? [...list().querySelectorAll("[name=uid]:checked")].map((box) => box.value) : [];
  replaceList(fresh);
  for (const value of boxes) list().querySelector(`[name=uid][value="${value}"]`)?.click();
  showToast(page);
  for (const count of page.querySelectorAll(".side [data-mailbox]")) {
    const mine = document.querySelector(`.side [data-mailbox="${count.dataset.mailbox}"] .count`);
    mine?.replaceChildren(...document.adoptNode(count.querySelector(".count")).childNodes);
  }
  if (opened === null) return;
  const action = event.submitter?.value;
  if (isOther && LEAVING.includes(action)) one.remove();
  else if (action === "unseen" && !isOther && form.closest(".reading")) return close();
  if (isOther || rows().some((row) => row.classList.contains("here"))) {
    if (form.closest(".reading")) document.dispatchEvent(new Event("zajil:compare"));
  } else {
    const following = rows()[Math.min(at, rows().length - 1)]?.querySelector("a.open");
    if (following && at >= 0) open(following.pathname, true, true);
    else close();
  }
});

// ---- panes ---------------------------------------------------------------------------------------

function makePane() {
  pane = document.createElement("section");
  pane.className = "reading";
  pane.tabIndex = -1;
  pane.setAttribute("aria-live", "off");
  office.append(pane);
  office.classList.add("panes");
}

function adoptHead(page) {
  for (const one of page.querySelectorAll("head link[rel=stylesheet], head script[src]")) {
    const name = one.localName === "link" ? "href" : "src";
    const address = one.getAttribute(name);
    if (document.querySelector(`head ${one.localName}[${name}="${CSS.escape(address)}"]`)) continue;
    const made = document.createElement(one.localName); // a copied script would not run
    for (const { name: key, value } of one.attributes) made.setAttribute(key, value);
    document.head.append(made);
  }
}

async function open(address, push = true, replace = false) {
  const mine = ++turn;
  const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
  const page = answer?.ok && !answer.redirected ? parse(await answer.text()) : null;
  const main = page?.querySelector("main");
  if (mine !== turn) return; // another one was asked for meanwhile
  if (!main) return location.assign(address);
  adoptHead(page);
  main.querySelectorAll(".toast").forEach((one) => one.remove());
  pane.replaceChildren(...document.adoptNode(main).childNodes);
  pane.scrollTop = 0;
  opened = address;
  office.classList.add("reads");
  if (push) history[replace ? "replaceState" : "pushState"]({ message: address }, "", address);
  document.title = page.title;
  comeBackTo(address);
  markOpened();
  document.dispatchEvent(new Event("zajil:message"));
}

function close() {
  turn += 1;
  opened = null;
  pane?.replaceChildren();
  office.classList.remove("reads");
  document.title = titleOfList;
  if (location.pathname + location.search !== list().dataset.address) {
    history.pushState(null, "", list().dataset.address);
  }
  comeBackTo(list().dataset.address);
  markOpened();
}

document.addEventListener("click", (event) => {
  if (!pane || !wide.matches || event.defaultPrevented || event.button) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest(".list a.open, .reading a.back");
  if (!link) return;
  event.preventDefault();
  if (link.matches(".back")) close();
  else open(link.pathname);
});

addEventListener("popstate", (event) => {
  if (!pane) return;
  if (event.state?.message) open(event.state.message, false);
  else if (location.pathname + location.search === list().dataset.address) close();
  else location.reload();
});

document.addEventListener("zajil:open", (event) => {
  if (pane && wide.matches && opened !== null) open(event.detail);
});

// A message that was opened by its own address gets its list beside it.
async function showList(back) {
  const address = back.getAttribute("href");
  const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
  const page = answer?.ok ? parse(await answer.text()) : null;
  const main = document.querySelector("#main");
  const fresh = page?.querySelector("main.lists");
  if (!fresh || !main.contains(back)) return;
  const told = main.querySelector(".toast");
  adoptHead(page);
  makePane();
  pane.replaceChildren(...main.childNodes);
  main.className = fresh.className;
  main.replaceChildren(...document.adoptNode(fresh).childNodes);
  if (told?.textContent.trim()) main.querySelector(".toast")?.replaceWith(told);
  else told?.remove();
  opened = location.pathname;
  titleOfList = page.title;
  office.classList.add("reads");
  history.replaceState({ message: opened }, "");
  markOpened();
  document.dispatchEvent(new Event("zajil:list"));
}

const back = document.querySelector("#main > .actions.one > a.back");
if (list() && office) {
  makePane();
  titleOfList = document.title;
} else if (office && back && wide.matches) showList(back);
