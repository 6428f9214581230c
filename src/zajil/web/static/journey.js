// A journey that goes on is fetched again until it ends; what its reader unfolded stays unfolded.

const story = document.querySelector("#journey[data-follow]");

let timer;

// Each change comes over a stream that the tabs of one browser share; without it, or where a proxy
// holds it back, the page is fetched now and then.
async function look() {
  clearTimeout(timer);
  let seconds = Number(story.dataset.follow);
  if (!document.hidden) {
    const page = await fetch(location.href).catch(() => null);
    const fresh = page?.ok
      ? new DOMParser().parseFromString(await page.text(), "text/html").querySelector("#journey")
      : null;
    if (fresh) {
      seconds = Number(fresh.dataset.follow);
      if (fresh.textContent !== story.textContent) show(fresh);
    }
  }
  clearTimeout(timer);
  if (seconds) timer = setTimeout(look, 1000 * seconds);
  else document.dispatchEvent(new Event("zajil:landed"));
}

function listen(channel) {
  const source = new EventSource(story.dataset.live);
  source.addEventListener("journey", () => {
    look();
    channel.postMessage("");
  });
  return new Promise((done) => {
    for (const [what, name] of [[window, "pagehide"], [document, "zajil:landed"]]) {
      what.addEventListener(name, () => done(source.close()));
    }
  });
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

document.addEventListener("visibilitychange", () => story && timer && look());
if (story) timer = setTimeout(look, 1000 * Number(story.dataset.follow));
if (story?.dataset.live) {
  const name = `zajil:journey:${story.dataset.live}`;
  const channel = new BroadcastChannel(name);
  channel.addEventListener("message", look);
  const asked = new AbortController();
  document.addEventListener("zajil:landed", () => asked.abort());
  if (navigator.locks) navigator.locks.request(name, { signal: asked.signal }, () => listen(channel)).catch(() => {});
  else listen(channel);
}
