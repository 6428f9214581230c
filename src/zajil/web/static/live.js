// Told of changes while a page is open: counts change, and the list that is shown is fetched anew.
// The tabs of one browser share one stream: the tab that holds the lock listens and tells the others.

const inbox = document.querySelector("[data-inbox]")?.dataset.inbox;
const icon = document.querySelector("link[rel=icon]");
let due = false; // something changed while messages were selected
let fetching = false;

const shown = () => document.querySelector("#list[data-shown]");
const isBusy = (list) => list.querySelector("input[name=uid]:checked, [popover]:popover-open");

async function refresh() {
  const list = shown();
  due = true;
  if (!list || isBusy(list) || fetching) return; // never under somebody's hands
  due = false;
  fetching = true;
  const page = await fetch(list.dataset.address, { headers: { Accept: "text/html" } }).catch(() => null);
  fetching = false;
  if (!page?.ok) return;
  const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("#list");
  if (!fresh || isBusy(list)) return;
  document.dispatchEvent(new CustomEvent("zajil:fresh", { detail: fresh }));
}

document.addEventListener("change", () => due && refresh());

function count(link, unseen) {
  const known = link.querySelector(".unseen");
  link.replaceChildren(...(unseen && known ? [known, " "] : []), unseen ? String(unseen) : "");
}

function tell(changed) {
  document.dispatchEvent(new CustomEvent("zajil:changed", { detail: changed }));
  for (const [id, [unseen, , modseq]] of Object.entries(changed)) {
    const link = document.querySelector(`.side [data-mailbox="${Number(id)}"] .count`);
    if (link && !link.dataset.still) count(link, unseen);
    if (id === inbox) {
      const title = document.title.replace(/^\(\d+\) /, "");
      document.title = unseen ? `(${unseen}) ${title}` : title;
      if (icon) icon.href = unseen ? icon.dataset.new : icon.dataset.plain;
    }
    // The first event says what the page already shows.
    const list = shown();
    if (id === list?.dataset.shown && Number(list.dataset.modseq) < modseq) refresh();
  }
}

const channel = new BroadcastChannel(`zajil:live:${inbox}`);
channel.addEventListener("message", (event) => tell(event.data));

function listen() {
  const source = new EventSource("/live");
  source.addEventListener("mailboxes", (event) => {
    const changed = JSON.parse(event.data);
    tell(changed);
    channel.postMessage(changed);
  });
  addEventListener("pagehide", () => source.close());
  return new Promise(() => {});
}

if (navigator.locks) navigator.locks.request(`zajil:live:${inbox}`, listen);
else listen();
