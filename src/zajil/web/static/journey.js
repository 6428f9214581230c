// A journey that goes on is fetched again until it ends; what its reader unfolded stays unfolded.

const story = document.querySelector("#journey[data-follow]");

async function follow() {
  let seconds = Number(story.dataset.follow);
  if (!document.hidden) {
    const page = await fetch(location.href).catch(() => null);
    const fresh = page?.ok
      ? new DOMParser().parseFromString(await page.text(), "text/html").querySelector("#journey")
      : null;
    if (fresh) {
      if (fresh.textContent !== story.textContent) show(fresh);
      seconds = Number(fresh.dataset.follow);
      if (!seconds) return;
    }
  }
  setTimeout(follow, 1000 * seconds);
}

const nameOf = (one) => one.querySelector("summary").textContent;

function show(fresh) {
  const open = new Set([...story.querySelectorAll("details[open]")].map(nameOf));
  const focused = story.contains(document.activeElement) ? document.activeElement.textContent : null;
  for (const one of fresh.querySelectorAll("details")) one.open = open.has(nameOf(one));
  story.replaceChildren(...document.adoptNode(fresh).childNodes);
  if (focused !== null) {
    [...story.querySelectorAll("summary, a")].find((one) => one.textContent === focused)?.focus();
  }
}

if (story) setTimeout(follow, 1000 * Number(story.dataset.follow));
