// A letter is saved while it is written, and its files are sent at once with their progress.
// The answer to each save is the page of the saved draft, from which the new pieces are taken.

const form = document.querySelector("form.compose");
const state = form.querySelector("#saved");
const texts = ["to", "cc", "bcc", "subject", "body"];
const key = `zajil:letter:${form.dataset.who}`;
const path = form.getAttribute("action"); // form.action is a button of this name
const pause = 3000;
let changes = 0; // counts what was typed
let kept = 0; // how many changes the saved draft has
let timer = 0;
let hasFailed = false; // the last time that something was saved
let work = Promise.resolve(); // saves and uploads follow each other

// Not form.elements.namedItem: recipients.js has fields whose ids are these names.
const field = (name) => form.querySelector(`[name="${name}"]`);
const content = () => Object.fromEntries(texts.map((name) => [name, field(name).value]));
const isBlank = () => texts.every((name) => !field(name).value.trim());

function copy(offer) {
  try {
    localStorage.setItem(key, JSON.stringify({ ...content(), place: field("place").value, offer }));
  } catch {} // full, or forbidden
}

function forget() {
  try {
    localStorage.removeItem(key);
  } catch {}
}

function take(page, url) {
  const fresh = page.querySelector("form.compose");
  // A thumbnail that is there need not be fetched again from its new address.
  const label = (one) => one.closest("li").textContent;
  const seen = new Map([...form.querySelectorAll("#files img")].map((one) => [label(one), one]));
  for (const one of fresh.querySelectorAll("#files img")) one.replaceWith(seen.get(label(one)) ?? one);
  field("place").value = fresh.elements.namedItem("place").value;
  form.querySelector("#files").replaceChildren(...document.adoptNode(fresh.querySelector("#files")).childNodes);
  form.querySelector("#pictures").replaceWith(document.adoptNode(fresh.querySelector("#pictures")));
  state.textContent = fresh.querySelector("#saved").textContent;
  const note = fresh.querySelector(".notice[role=status]");
  if (note) {
    form.querySelector(".notice[role=status]")?.remove();
    form.prepend(document.adoptNode(note));
  }
  history.replaceState(null, "", url);
  for (const next of document.querySelectorAll("input[name=next]")) next.value = location.pathname + location.search;
  const discard = page.querySelector("#discard");
  document.querySelector("#discard")?.remove();
  form.after(document.adoptNode(discard));
  const leave = form.querySelector("#leave");
  leave?.replaceWith(document.adoptNode(fresh.querySelector("[form=discard]")));
}

// XMLHttpRequest, because fetch does not tell how much of a file has gone.
function send(data, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "document";
    request.onload = () => resolve(request);
    request.onerror = reject;
    if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.send(data);
  });
}

async function post(change, onProgress) {
  const at = changes;
  const data = new FormData(form);
  data.delete("attach");
  change(data);
  let answer;
  try {
    answer = await send(data, onProgress);
  } catch {
    hasFailed = true;
    copy(true);
    state.textContent = form.dataset.unsaved;
    return false;
  }
  const page = answer.response;
  if (answer.status === 200 && page?.querySelector("form.compose")) {
    take(page, answer.responseURL);
    kept = at;
    hasFailed = false;
    if (changes === kept) forget();
    return true;
  }
  // The same person has logged in again in another window: this page goes on with the new token.
  const again = page?.querySelector("form.compose");
  const token = again?.querySelector("[name=csrf]").value;
  if (answer.status === 403 && again?.dataset.who === form.dataset.who && token !== field("csrf").value) {
    for (const one of document.querySelectorAll("[name=csrf]")) one.value = token;
    return post(change, onProgress);
  }
  hasFailed = true;
  copy(true);
  const problem = page?.querySelector("form.compose .notice.bad")?.textContent;
  state.textContent = problem ?? (page?.querySelector("[name=kept]") ? form.dataset.loggedOut : form.dataset.unsaved);
  return false;
}

function save() {
  clearTimeout(timer);
  if (changes === kept || (isBlank() && !field("place").value)) return work;
  state.textContent = form.dataset.saving;
  work = work.then(() => changes === kept || post((data) => data.set("action", "save")));
  return work;
}

addEventListener("online", () => hasFailed && save());

// Arabic and Latin letters: the first that is typed says which words the browser knows.
function spell() {
  const body = field("body");
  const first = /\p{Script=Arabic}|\p{Script=Latin}/u.exec(body.value.slice(0, 1000))?.[0];
  if (!first) return;
  const lang = /\p{Script=Arabic}/u.test(first) ? body.dataset.rtl : body.dataset.ltr;
  // Only another one: the editor takes each change of its attributes for a change of the text.
  for (const one of form.querySelectorAll("#body, #editor, #subject")) if (one.lang !== lang) one.lang = lang;
}

function changed() {
  spell();
  changes += 1;
  copy(true);
  clearTimeout(timer);
  timer = setTimeout(save, pause);
}

form.addEventListener("input", (event) => {
  if (event.target.type !== "file") changed();
});

// ---- files

const input = form.querySelector("#attach");
const bar = form.querySelector("progress");
form.querySelector("[value=attach]").hidden = true;
form.classList.add("scripted");

function attach(files, name = "attach", done = () => {}) {
  if (!files.length) return;
  const size = [...files].reduce((sum, one) => sum + one.size, 0);
  if (size * 1.37 > Number(form.dataset.most)) {
    state.textContent = form.dataset.large;
    return;
  }
  work = work.then(async () => {
    bar.classList.remove("hidden");
    const isDone = await post(
      (data) => {
        data.set("action", "attach");
        for (const file of files) data.append(name, file);
      },
      (part) => (bar.value = part),
    );
    bar.classList.add("hidden");
    if (isDone) done();
    else if (state.textContent === form.dataset.unsaved) state.textContent = form.dataset.failed;
    input.value = "";
  });
}

// The editor has pictures for the text: they are files of the draft, too.
const pictures = () => [...form.querySelectorAll("#pictures input")];
form.addEventListener("zajil:pictures", ({ detail }) => {
  const before = new Set(pictures().map((one) => one.dataset.address.split("/").pop()));
  attach(detail.files, "picture", () => {
    const isNew = (one) => !before.has(one.dataset.address.split("/").pop());
    for (const one of pictures().filter(isNew)) detail.insert(one.dataset.address, one.dataset.name);
  });
});
input.addEventListener("change", () => attach([...input.files]));
form.addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  form.classList.add("drop");
});
for (const end of ["dragleave", "drop"]) form.addEventListener(end, () => form.classList.remove("drop"));
form.addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  attach([...event.dataTransfer.files]);
});
form.addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  attach([...event.clipboardData.files]);
});

// Each address has a signature of its own; one that was changed by hand stays.
const sender = form.querySelector("#sender");
let signature = sender?.selectedOptions[0].dataset.signature;
sender?.addEventListener("change", () => {
  const body = field("body");
  const next = sender.selectedOptions[0].dataset.signature;
  const block = (text) => (text ? `\n-- \n${text}` : "");
  if (signature && body.value.includes(block(signature))) {
    body.value = body.value.replace(block(signature), () => block(next));
  } else if (!signature && next && !/^-- $/m.test(body.value)) {
    const quote = body.value.search(/\n\n[^\n]+\n>/);
    const at = quote < 0 ? body.value.length : quote;
    body.value = body.value.slice(0, at) + "\n" + block(next) + body.value.slice(at);
  }
  signature = next;
  form.dispatchEvent(new Event("zajil:text"));
});

// ---- buttons

let isLeaving = false;
let isSent = false; // until the next page is there, nothing is sent again
form.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (isLeaving) return;
  event.preventDefault();
  if (isSent) return;
  if (button?.name === "remove") {
    work = work.then(() => post((data) => data.set("remove", button.value)));
  } else if (button?.name === "template") {
    insert(`${button.dataset.text}\n`);
    button.closest("details").open = false;
  } else if (!/^(send|later)/.test(button?.value)) {
    changes += 1;
    save();
  } else if (!button.disabled) {
    clearTimeout(timer);
    button.disabled = true; // two presses of Ctrl+Enter are one message
    work = work.then(() => submit(button));
  }
});

// At the cursor; the editor takes it if there is one.
function insert(text) {
  const body = field("body");
  if (!form.dispatchEvent(new CustomEvent("zajil:insert", { detail: text, cancelable: true }))) return;
  body.setRangeText(text, body.selectionStart, body.selectionEnd, "end");
  body.dispatchEvent(new Event("input", { bubbles: true }));
  body.focus();
}

// A letter that the network did not take stays on the page. What the server has to say of it is
// shown by its own page: the form is sent once more in the ordinary way.
async function submit(button) {
  const data = new FormData(form, button);
  data.delete("attach");
  data.set("action", button.value);
  copy(true);
  try {
    const answer = await fetch(path, { method: "POST", body: data, headers: { Accept: "application/json" } });
    if (answer.headers.get("content-type")?.startsWith("application/json")) {
      const { next } = await answer.json();
      isSent = true;
      forget();
      location.assign(next);
    } else {
      button.disabled = false;
      isLeaving = true;
      form.requestSubmit(button);
    }
  } catch {
    isLeaving = false;
    button.disabled = false;
    state.textContent = form.dataset.unsaved;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.contains(event.target)) {
    form.requestSubmit(form.querySelector("[value=send]"));
  }
});

// ---- leaving

document.addEventListener("submit", (event) => {
  if (event.target === form || changes === kept) return;
  if (event.target.id === "discard") {
    isLeaving = true;
    forget();
    return;
  }
  // The language, the theme: what was written goes first.
  event.preventDefault();
  const button = event.submitter;
  save().then(() => {
    kept = changes;
    event.target.requestSubmit(button);
  });
});
// Another language: page.js waits for the draft, and comes back to it.
document.addEventListener("zajil:leave", (event) => {
  event.detail.until.push(save().then(() => (kept = changes)));
});
form.querySelector("#leave")?.addEventListener("click", () => {
  isLeaving = true;
  forget();
});
addEventListener("pagehide", () => {
  if (isLeaving || isSent || changes === kept || (isBlank() && !field("place").value)) return;
  const data = new FormData(form);
  data.delete("attach");
  data.set("action", "save");
  fetch(path, { method: "POST", body: data, keepalive: true, redirect: "manual" });
  copy(hasFailed || !navigator.onLine);
});

// ---- what this browser kept

try {
  const old = JSON.parse(localStorage.getItem(key));
  const isSame = old && texts.every((name) => (old[name] ?? "") === field(name).value);
  const isMine = old && (old.place === field("place").value || (isBlank() && !field("place").value));
  if (isSame) forget();
  else if (isMine && old.offer && texts.some((name) => old[name]?.trim())) {
    const offer = form.querySelector("#local");
    offer.hidden = false;
    offer.querySelector("[name=restore]").addEventListener("click", () => {
      for (const name of texts) {
        field(name).value = old[name] ?? "";
        field(name).dispatchEvent(new Event("zajil:read"));
      }
      if (old.cc || old.bcc) form.querySelector(".copies").open = true;
      offer.hidden = true;
      form.dispatchEvent(new Event("zajil:text"));
      changed();
    });
    offer.querySelector("[name=forget]").addEventListener("click", () => {
      offer.hidden = true;
      forget();
    });
  }
} catch {} // forbidden, or of another version
