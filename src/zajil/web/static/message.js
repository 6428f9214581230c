// The frame with the HTML of a message is as high as what it holds, and what is too wide is scaled.
// Nothing runs inside the frame; this page only measures it.

const SMALLEST = 0.5; // what is wider than twice the frame is scrolled
const HIGHEST = 40_000; // pixels

function fit(frame) {
  const page = frame.contentDocument;
  if (!page?.body || page.body.dataset.fitted) return;
  page.body.dataset.fitted = "1";
  let width = 0;
  const measure = () => {
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
  measure();
  const observer = new ResizeObserver(measure);
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
  const answer = await fetch(logo.src.replace(/\/logo$/, "")).catch(() => null);
  if (!answer?.ok) return;
  const said = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".of-logo");
  if (said) logo.closest(".from").querySelector(".proof .sentence")?.append(said);
}
document.addEventListener("load", (event) => event.target.matches?.(".logo[data-new]") && complete(event.target), true);
for (const logo of document.querySelectorAll(".logo[data-new]")) logo.complete && complete(logo);

// Printing needs a script; without one the browser's own menu prints the page.
const offerPrint = () => document.querySelectorAll("[data-print]").forEach((one) => (one.hidden = false));
document.addEventListener("click", (event) => event.target.closest?.("[data-print]") && print());
document.addEventListener("zajil:message", offerPrint);
offerPrint();
