// Rows of a list: dragged onto a mailbox with a mouse, swiped with a finger. Both press the buttons
// that the page has anyway, so a notice follows that offers to undo.

const form = () => document.querySelector("#list");
const boxes = () => [...document.querySelectorAll(".letters input[name=uid]")];

function press(button, rows) {
  for (const box of boxes()) box.checked = rows.includes(box);
  form().requestSubmit(button);
}

// ---- dragging ------------------------------------------------------------------------------------

let dragged = []; // the checkboxes of the rows under way

const target = (event) => {
  const link = dragged.length && event.target.closest?.(".side a[data-mailbox]");
  const id = link?.dataset.mailbox;
  // What messages may be moved to is what the menu "Move to" has.
  return id && form()?.querySelector(`[name=move][value="${Number(id)}"]`) ? link : null;
};

document.addEventListener("dragstart", (event) => {
  const row = event.target.closest?.(".letters li");
  const own = row?.querySelector("input[name=uid]");
  if (!own) return;
  dragged = own.checked ? boxes().filter((box) => box.checked) : [own];
  event.dataTransfer.setData("text/plain", row.querySelector("a.open").textContent);
  event.dataTransfer.effectAllowed = "move";
  const badge = document.createElement("div");
  badge.className = "dragged";
  badge.textContent = dragged.length > 1 ? String(dragged.length) : row.querySelector("a.open").textContent;
  document.body.append(badge);
  event.dataTransfer.setDragImage(badge, -12, -12);
  setTimeout(() => badge.remove());
  document.body.classList.add("dragging");
});
document.addEventListener("dragover", (event) => {
  const link = target(event);
  document.querySelectorAll(".side .drop").forEach((one) => one !== link && one.classList.remove("drop"));
  if (!link) return;
  event.preventDefault();
  link.classList.add("drop");
});
document.addEventListener("drop", (event) => {
  const link = target(event);
  if (!link) return;
  event.preventDefault();
  press(form().querySelector(`[name=move][value="${Number(link.dataset.mailbox)}"]`), dragged);
});
document.addEventListener("dragend", () => {
  dragged = [];
  document.body.classList.remove("dragging");
  document.querySelectorAll(".side .drop").forEach((one) => one.classList.remove("drop"));
});

// ---- swiping -------------------------------------------------------------------------------------

const FAR = 96; // pixels after which letting go acts
let swipe = null;

function begin(event) {
  const row = event.target.closest?.(".letters li");
  if (!row || event.touches.length > 1) return end(false);
  const { clientX, clientY } = event.touches[0];
  swipe = { row, x: clientX, y: clientY, by: 0, button: null, hint: null };
}

const isTowardsStart = (by) => by < 0 === (document.documentElement.dir !== "rtl");

function wanted(by) {
  const action = isTowardsStart(by) ? "archive" : swipe.row.classList.contains("unread") ? "seen" : "unseen";
  return form().querySelector(`.acts [name=action][value=${action}]`);
}

function move(event) {
  if (!swipe) return;
  const { clientX, clientY } = event.touches[0];
  const by = clientX - swipe.x;
  if (!swipe.hint) {
    if (Math.abs(clientY - swipe.y) > 12) return (swipe = null); // it is scrolled
    if (Math.abs(by) < 12) return;
    swipe.hint = document.createElement("span");
    swipe.hint.className = "swipe";
    swipe.row.append(swipe.hint);
    swipe.row.classList.add("swiped");
  }
  if (event.cancelable) event.preventDefault();
  const button = wanted(by);
  if (button !== swipe.button) {
    swipe.button = button;
    swipe.hint.replaceChildren(...(button ? [...button.childNodes].map((one) => one.cloneNode(true)) : []));
  }
  swipe.by = button ? by : 0;
  swipe.row.style.setProperty("--by", `${swipe.by}px`);
  swipe.hint.style.setProperty("--wide", `${Math.abs(swipe.by)}px`);
  swipe.hint.classList.toggle("at-end", isTowardsStart(by));
  swipe.hint.classList.toggle("ready", Math.abs(swipe.by) >= FAR);
}

function end(acts) {
  if (!swipe) return;
  const { row, by, button, hint } = swipe;
  swipe = null;
  if (!hint) return;
  hint.remove();
  row.classList.remove("swiped");
  row.style.removeProperty("--by");
  // The finger also "clicked" what is below it.
  addEventListener("click", (event) => event.preventDefault(), { capture: true, once: true, signal: AbortSignal.timeout(350) });
  if (acts && button && Math.abs(by) >= FAR) press(button, [row.querySelector("input[name=uid]")]);
}

document.addEventListener("touchstart", begin, { passive: true });
document.addEventListener("touchmove", move, { passive: false });
document.addEventListener("touchend", () => end(true));
document.addEventListener("touchcancel", () => end(false));
