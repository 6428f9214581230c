// Told of new mail while a page is open: counts change, and the list that is shown is fetched anew.

const list = document.querySelector("#list");

async function refresh() {
  const marked = list.querySelector("input[name=uid]:checked");
  if (marked || document.activeElement?.closest("#list")) return; // never under somebody's hands
  const page = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!page.ok) return;
  const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("#list");
  const rows = fresh?.querySelector(".letters, .empty");
  const old = list.querySelector(".letters, .empty");
  if (rows && old) old.replaceWith(document.adoptNode(rows));
}

const source = new EventSource("/live");
source.addEventListener("mailboxes", (event) => {
  for (const [id, [unseen]] of Object.entries(JSON.parse(event.data))) {
    const link = document.querySelector(`[data-mailbox="${Number(id)}"] .count`);
    if (link && !link.dataset.still) link.textContent = unseen || "";
  }
  if (list && !new URLSearchParams(location.search).has("before")) refresh();
});
addEventListener("pagehide", () => source.close());
