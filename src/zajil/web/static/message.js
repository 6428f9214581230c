// The frame with the HTML of a message is as high as what it holds, and what is too wide is scaled.
// Nothing runs inside the frame; this page only measures it.

const SMALLEST = 0.5; // what is wider than twice the frame is scrolled
const HIGHEST = 40_000; // pixels

function fit(frame) {
  const page = frame.contentDocument;
  if (!page?.body || page.URL === "about:blank" || page.body.dataset.fitted) return;
  page.body.dataset.fitted = "1";
  let width = 0;
  const measure = () => {
    if (page !== frame.contentDocument) return observer.disconnect(); // another one was loaded
    if (!frame.clientWidth) return; // it is folded
    if (frame.clientWidth !== width) {
      width = frame.clientWidth;
      page.body.style.zoom = "";
      const share = width / page.documentElement.scrollWidth;
      if (share < 1) page.body.style.zoom = Math.max(share, SMALLEST);
    }
    const bar = page.documentElement.scrollWidth > width ? 20 : 0;
    const height = Math.ceil(page.body.getBoundingClientRect().height) + bar;
    frame.style.blockSize = `${Math.min(height, HIGHEST)}px`;
  };
  const observer = new ResizeObserver(measure);
  measure();
  observer.observe(page.body);
  observer.observe(frame);
}

// A list beside the message may bring another one into this page, so frames are found as they load.
document.addEventListener("load", (event) => event.target.matches?.(".frame") && fit(event.target), true);
for (const frame of document.querySelectorAll(".frame")) {
  if (frame.contentDocument?.readyState === "complete") fit(frame);
}

// A logo that nobody has seen yet is looked up while it is loaded; only then its sentence is known.
async function complete(logo) {
  if (logo.naturalWidth < 2) return; // there is none
  logo.removeAttribute("data-new");
  const answer = await fetch(logo.src.replace(/\/logo$/, "?alone=1")).catch(() => null);
  if (!answer?.ok) return;
  const said = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".of-logo");
  if (said) logo.closest("[data-message]").querySelector(".proof .sentence")?.append(said);
}
document.addEventListener("load", (event) => event.target.matches?.(".logo[data-new]") && complete(event.target), true);
for (const logo of document.querySelectorAll(".logo[data-new]")) logo.complete && complete(logo);

// Printing needs a script; without one the browser's own menu prints the page.
const offerPrint = () => document.querySelectorAll("[data-print]").forEach((one) => (one.hidden = false));
document.addEventListener("click", (event) => event.target.closest?.("[data-print]") && print());
document.addEventListener("zajil:message", offerPrint);
offerPrint();

// ---- conversations -------------------------------------------------------------------------------

const conversation = () => document.querySelector(".conversation");

async function ask(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
  const isThere = answer?.ok && !answer.redirected;
  return [isThere ? new DOMParser().parseFromString(await answer.text(), "text/html") : null, answer?.status];
}

// A folded message is unfolded in place: its own page has it whole.
async function unfold(link) {
  const old = link.closest("[data-message]");
  old.setAttribute("aria-busy", "true");
  const address = new URL(link.href);
  address.searchParams.set("alone", "1");
  const [page] = await ask(address);
  const fresh = page?.querySelector(".part");
  if (!fresh) return location.assign(link.href);
  old.replaceWith(document.adoptNode(fresh));
  fresh.querySelector("summary").focus({ preventScroll: true });
}
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-unfold]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  unfold(link);
});

// What other programs change: marks and buttons follow, new messages appear, what is gone says so.
async function compare() {
  const shown = conversation();
  if (!shown) return;
  const [page, status] = await ask(shown.dataset.state);
  if (shown !== conversation()) return;
  if (status === 404) shown.querySelectorAll("[data-message]").forEach((one) => isOpened(one) && tellGone(one));
  if (!page) return;
  shown.dataset.modseqs = page.querySelector("[data-modseqs]").dataset.modseqs;
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const old = document.querySelector(`[data-live="${fresh.dataset.live}"]`);
    if (!old || old.textContent === fresh.textContent || old.querySelector(":popover-open")) continue;
    const at = [...old.querySelectorAll("button")].indexOf(document.activeElement);
    old.replaceWith(document.adoptNode(fresh));
    fresh.querySelectorAll("button")[at]?.focus();
  }
  const names = new Set();
  let last = null;
  for (const row of page.querySelectorAll("[data-message]")) {
    names.add(row.dataset.message);
    const old = shown.querySelector(`[data-message="${row.dataset.message}"]`);
    if (!old) last ? last.after(document.adoptNode(row)) : shown.append(document.adoptNode(row));
    last = old ?? row;
  }
  for (const one of shown.querySelectorAll("[data-message]")) if (!names.has(one.dataset.message)) tellGone(one);
}

const isOpened = (one) => conversation().dataset.state === `/mail/${one.dataset.message.replace(".", "/")}/state`;

let left = 0; // when its reader moved or deleted a message
document.addEventListener("submit", (event) => {
  if (!/flag|seen/.test(event.submitter?.value)) left = Date.now();
});

function tellGone(one) {
  if (Date.now() - left < 3000) return;
  const note = one.querySelector(".gone");
  if (note) note.hidden = false;
  else one.remove();
}

document.addEventListener("zajil:compare", compare);
document.addEventListener("zajil:changed", (event) => {
  const known = JSON.parse(conversation()?.dataset.modseqs ?? "{}");
  if (Object.entries(event.detail).some(([id, [, , modseq]]) => known[id] < modseq)) compare();
});
