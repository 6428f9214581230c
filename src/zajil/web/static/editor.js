// Text with formatting, written with Squire, which is loaded when somebody wants it.
// The form holds the HTML in a hidden field; the server cleans it and makes the plain text.

const form = document.querySelector("form.compose");
const bar = form.querySelector("[role=toolbar]");
const toggle = form.querySelector("[name=format]");
const plain = form.elements.namedItem("body");
const html = form.elements.namedItem("html");
const rich = form.elements.namedItem("rich");
const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
let editor;
let root;

const TAGS = new Set("A B BLOCKQUOTE BR CODE DIV EM H1 H2 H3 HR I IMG LI OL P PRE S SPAN STRONG SUB SUP U UL".split(" "));

// What is pasted keeps its structure and nothing else; the server cleans it once more.
function clean(source) {
  const page = new DOMParser().parseFromString(source, "text/html");
  const copy = (from, to) => {
    for (const node of from.childNodes) {
      if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
      if (node.nodeType !== Node.ELEMENT_NODE || /^(SCRIPT|STYLE|TITLE|HEAD|TEMPLATE|SVG)$/i.test(node.tagName)) continue;
      let inside = to;
      if (TAGS.has(node.tagName)) {
        inside = document.createElement(node.tagName);
        if (node.tagName === "IMG") {
          if (!node.getAttribute("src")?.startsWith("/compose/picture/")) continue;
          for (const name of ["src", "alt", "width", "height"]) {
            if (node.hasAttribute(name)) inside.setAttribute(name, node.getAttribute(name));
          }
        }
        const href = node.getAttribute("href");
        if (node.tagName === "A" && /^(https?|mailto):/i.test(href ?? "")) inside.href = href;
        if (/^(ltr|rtl|auto)$/.test(node.dir)) inside.dir = node.dir;
        to.append(inside);
      }
      copy(node, inside);
    }
    return to;
  };
  return copy(page.body, document.createDocumentFragment());
}

// Plain text as blocks: what begins with ">" is a quote.
function fromText(text) {
  const blocks = document.createElement("div");
  let depth = 0;
  let place = blocks;
  for (const line of text.split("\n")) {
    const mark = /^(?:> ?)*/.exec(line)[0];
    const wanted = Math.min(20, mark.split(">").length - 1);
    for (; depth < wanted; depth += 1) place = place.appendChild(document.createElement("blockquote"));
    for (; depth > wanted; depth -= 1) place = place.parentNode;
    const block = place.appendChild(document.createElement("div"));
    block.dir = "auto";
    const words = line.slice(mark.length);
    block.append(words || document.createElement("br"));
  }
  return blocks.innerHTML;
}

// Extensions of the browser change attributes, too: that is no change of the text, and saves nothing.
function keep() {
  const now = editor.getHTML();
  if (now === html.value) return;
  html.value = now;
  plain.value = root.innerText.replace(/\n\n/g, "\n");
  plain.dispatchEvent(new Event("input", { bubbles: true }));
}

const ACTS = {
  bold: ["B", () => editor.bold(), () => editor.removeBold()],
  italic: ["I", () => editor.italic(), () => editor.removeItalic()],
  underline: ["U", () => editor.underline(), () => editor.removeUnderline()],
  bullets: ["UL", () => editor.makeUnorderedList(), () => editor.removeList()],
  numbers: ["OL", () => editor.makeOrderedList(), () => editor.removeList()],
  quote: ["BLOCKQUOTE", () => editor.increaseQuoteLevel(), () => editor.decreaseQuoteLevel()],
  ltr: [null, () => direct("ltr")],
  rtl: [null, () => direct("rtl")],
  link: ["A", makeLink, () => editor.removeLink()],
  picture: [null, choosePictures],
  clear: [null, () => editor.removeAllFormatting()],
};

// Each paragraph reads as its first letter says, unless its author says otherwise.
function direction() {
  const { startContainer: at } = editor.getSelection();
  return (at.nodeType === Node.TEXT_NODE ? at.parentNode : at).closest("[dir]")?.dir;
}

function direct(way) {
  editor.setTextDirection(direction() === way ? "auto" : way);
}

function makeLink() {
  const url = prompt(bar.dataset.link, "https://");
  if (url && /^(https?:\/\/|mailto:)[^\s]+$/i.test(url)) editor.makeLink(url);
}

// Pictures become parts of the draft first; what is inserted is their address.
function insertPictures(files) {
  const insert = (address, name) => editor?.insertImage(address, { alt: name.replace(/\.\w+$/, "") });
  form.dispatchEvent(new CustomEvent("zajil:pictures", { detail: { files, insert } }));
}

function choosePictures() {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", accept: IMAGES.join(), multiple: true });
  input.addEventListener("change", () => insertPictures([...input.files]));
  input.click();
}

// Text that comes with a picture of itself (from a spreadsheet) is pasted as text.
function takePictures(event) {
  const data = event.clipboardData ?? event.dataTransfer;
  const files = [...data.files];
  if (!files.length || !files.every((one) => IMAGES.includes(one.type)) || data.types.includes("text/rtf")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  form.classList.remove("drop");
  insertPictures(files);
}

function showState() {
  for (const button of bar.querySelectorAll("[aria-pressed]")) {
    const act = button.dataset.do;
    button.setAttribute("aria-pressed", String(ACTS[act][0] ? editor.hasFormat(ACTS[act][0]) : direction() === act));
  }
}

bar.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const [tag, set, unset] = ACTS[button.dataset.do];
  if (tag && unset && editor.hasFormat(tag)) unset();
  else set();
  editor.focus();
  showState();
});

// One stop for the Tab key; the arrows move within, as in every toolbar.
bar.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const buttons = [...bar.querySelectorAll("button")];
  const turn = document.documentElement.dir === "rtl" ? -step : step;
  const next = buttons.at((buttons.indexOf(event.target) + turn) % buttons.length);
  for (const one of buttons) one.tabIndex = one === next ? 0 : -1;
  next.focus();
});

async function start() {
  const { default: Squire } = await import(bar.dataset.editor);
  root = document.createElement("div");
  root.id = "editor";
  root.className = "editor";
  root.dir = "auto";
  root.lang = plain.lang;
  root.setAttribute("role", "textbox");
  root.setAttribute("aria-multiline", "true");
  root.setAttribute("aria-label", form.querySelector("label[for=body]").textContent);
  for (const kind of ["paste", "drop"]) root.addEventListener(kind, takePictures, true);
  const hasFocus = document.activeElement === plain;
  plain.after(root);
  plain.classList.add("hidden");
  editor = new Squire(root, { blockTag: "DIV", blockAttributes: { dir: "auto" }, sanitizeToDOMFragment: clean });
  editor.setHTML(html.value || fromText(plain.value));
  editor.addEventListener("input", keep);
  editor.addEventListener("pathChange", showState);
  rich.value = "1";
  html.value = editor.getHTML();
  bar.classList.remove("hidden");
  [...bar.querySelectorAll("button")].forEach((one, at) => (one.tabIndex = at ? -1 : 0));
  toggle.setAttribute("aria-pressed", "true");
  if (hasFocus) root.focus();
}

function stop() {
  plain.value = root.innerText.replace(/\n\n/g, "\n");
  editor.destroy();
  root.remove();
  editor = undefined;
  rich.value = html.value = "";
  plain.classList.remove("hidden");
  bar.classList.add("hidden");
  toggle.setAttribute("aria-pressed", "false");
  plain.dispatchEvent(new Event("input", { bubbles: true }));
}

toggle.classList.remove("hidden");
toggle.addEventListener("click", async () => {
  if (editor) stop();
  else await start();
  (root?.isConnected ? root : plain).focus();
});
// Who changes the text from elsewhere (a signature, a copy of this browser) says so.
form.addEventListener("zajil:text", () => editor?.setHTML(fromText(plain.value)));
form.addEventListener("zajil:insert", (event) => {
  if (!editor) return;
  event.preventDefault();
  editor.insertHTML(fromText(event.detail.trimEnd()));
  editor.focus();
});
if (html.value || (form.dataset.write === "rich" && !form.elements.namedItem("place").value)) await start();
