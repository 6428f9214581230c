// Told of new mail while a page is open: counts change, and the list that is shown is fetched anew.

const list = document.querySelector("#list");
const inbox = document.querySelector("[data-inbox]")?.dataset.inbox;
let due = false; // something changed while messages were selected

async function refresh() {
  due = true;
  if (list.querySelector("input[name=uid]:checked")) return; // never under somebody's hands
  due = false;
  const page = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!page.ok) return;
  const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("#list");
  if (!fresh || list.querySelector("input[name=uid]:checked")) return;
  const focused = list.contains(document.activeElement) && document.activeElement;
  list.dataset.counts = fresh.dataset.counts;
  list.replaceChildren(...document.adoptNode(fresh).childNodes);
  if (focused) {
    const same = [...list.querySelectorAll("a, button, input")].find(
      (one) => one.href === focused.href && one.name === focused.name && one.value === focused.value,
    );
    same?.focus();
  }
  document.dispatchEvent(new Event("zajil:list"));
}

list?.addEventListener("change", () => due && refresh());

const source = new EventSource("/live");
source.addEventListener("mailboxes", (event) => {
  for (const [id, [unseen, messages]] of Object.entries(JSON.parse(event.data))) {
    const link = document.querySelector(`[data-mailbox="${Number(id)}"] .count`);
    if (link && !link.dataset.still) link.textContent = unseen || "";
    if (id === inbox) {
      const title = document.title.replace(/^\(\d+\) /, "");
      document.title = unseen ? `(${unseen}) ${title}` : title;
    }
    // The first event says what the page already shows.
    const isNews = id === list?.dataset.shown && list.dataset.counts !== `${unseen},${messages}`;
    if (isNews && !new URLSearchParams(location.search).has("before")) refresh();
  }
});
addEventListener("pagehide", () => source.close());
