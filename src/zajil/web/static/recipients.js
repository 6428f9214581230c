// Recipients as chips, with completion. The field that the server made stays what the form sends.

const words = document.querySelector("#recipient-words")?.dataset ?? {};
const SEPARATORS = /[,;،؛\n]/;

// Take an address list apart: separators within quotes or angle brackets are none.
function take(text) {
  const parts = [];
  let part = "", quoted = false, angle = false;
  for (const one of text) {
    if (one === '"' && !part.endsWith("\\")) quoted = !quoted;
    else if (one === "<" && !quoted) angle = true;
    else if (one === ">" && !quoted) angle = false;
    if (SEPARATORS.test(one) && !quoted && !angle) {
      parts.push(part.trim());
      part = "";
    } else part += one;
  }
  return [parts.filter(Boolean), part];
}

const nameOf = (text) => text.match(/^\s*"?(.*?)"?\s*<[^<>]*>\s*$/)?.[1].replace(/\\(.)/g, "$1") || text.replace(/^<|>$/g, "");
const isAddress = (text) => /[^\s<>@"]+@[^\s<>@"]+/.test(text);

class Recipients {
  constructor(field) {
    this.field = field; // what is sent
    this.people = [];
    this.found = [];
    this.at = -1;
    this.asked = 0;
    const box = document.createElement("div");
    box.className = "recipients";
    this.list = document.createElement("ul");
    this.input = document.createElement("input");
    const id = field.id;
    Object.assign(this.input, { id, dir: "auto", autocomplete: "off", spellcheck: false, autocapitalize: "off", enterKeyHint: "next" });
    this.input.setAttribute("role", "combobox");
    this.input.setAttribute("aria-autocomplete", "list");
    this.input.setAttribute("aria-expanded", "false");
    this.input.setAttribute("aria-controls", `${id}-options`);
    this.options = document.createElement("ul");
    Object.assign(this.options, { id: `${id}-options`, className: "options", hidden: true });
    this.options.setAttribute("role", "listbox");
    this.options.setAttribute("aria-label", words.suggestions ?? "");
    this.said = document.createElement("span");
    this.said.className = "unseen";
    this.said.setAttribute("role", "status");
    const hadFocus = document.activeElement === field;
    const wantsFocus = field.autofocus;
    field.id = `${id}-value`;
    field.type = "hidden";
    box.append(this.list, this.input, this.options, this.said);
    field.after(box);
    this.read(field.value);
    field.addEventListener("zajil:read", () => this.read(field.value));
    box.addEventListener("click", (event) => event.target === box || event.target === this.list ? this.input.focus() : null);
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.list.addEventListener("keydown", (event) => this.chipKey(event));
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("paste", (event) => this.paste(event));
    this.input.addEventListener("blur", () => setTimeout(() => this.leave()));
    this.options.addEventListener("mousedown", (event) => event.preventDefault());
    this.options.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose([...this.options.children].indexOf(row));
    });
    if (hadFocus) this.input.focus();
    // The browser looks for fields with autofocus before it draws, and complains of an earlier focus.
    else if (wantsFocus) requestAnimationFrame(() => document.activeElement === document.body && this.input.focus());
  }

  read(text) {
    const [people, rest] = take(text);
    this.people = [...people, rest.trim()].filter(Boolean);
    this.draw();
  }

  // Everything that stands here is sent, also what is not a chip yet.
  sync() {
    const value = [...this.people, this.input.value.trim()].filter(Boolean).join(", ");
    if (value === this.field.value) return;
    this.field.value = value;
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  draw() {
    this.list.replaceChildren(...this.people.map((text, place) => {
      const chip = document.createElement("li");
      const name = document.createElement("bdi");
      const remove = document.createElement("button");
      name.textContent = nameOf(text);
      chip.title = text;
      chip.className = isAddress(text) ? "" : "bad";
      Object.assign(remove, { type: "button", textContent: "×" });
      remove.dataset.place = place;
      remove.setAttribute("aria-label", (words.remove ?? "%s").replace("%s", text));
      chip.append(name, remove);
      return chip;
    }));
    this.list.hidden = !this.people.length;
    this.sync();
  }

  add(...texts) {
    const key = (one) => (one.match(/<([^<>]*)>/)?.[1] ?? one).toLowerCase();
    const there = new Set(this.people.map(key));
    for (const text of texts) if (!there.has(key(text)) && there.add(key(text))) this.people.push(text);
    this.draw();
  }

  removeAt(place) {
    const [gone] = this.people.splice(place, 1);
    this.draw();
    this.said.textContent = (words.removed ?? "%s").replace("%s", nameOf(gone));
    const next = this.list.querySelectorAll("button")[Math.min(place, this.people.length - 1)];
    (next ?? this.input).focus();
  }

  clicked(event) {
    const button = event.target.closest("button");
    if (button) this.removeAt(Number(button.dataset.place));
    else if (event.detail === 2 && event.target.closest("li")) this.edit([...this.list.children].indexOf(event.target.closest("li")));
  }

  edit(place) {
    this.commit();
    const [text] = this.people.splice(place, 1);
    this.draw();
    this.input.value = text;
    this.sync();
    this.input.focus();
  }

  chipKey(event) {
    const buttons = [...this.list.querySelectorAll("button")];
    const place = buttons.indexOf(event.target);
    const back = getComputedStyle(this.list).direction === "rtl" ? "ArrowRight" : "ArrowLeft";
    if (place < 0) return;
    if (event.key === "Backspace" || event.key === "Delete") this.removeAt(place);
    else if (event.key === "F2") this.edit(place);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") (buttons[place + (event.key === back ? -1 : 1)] ?? this.input).focus();
    else return;
    event.preventDefault();
  }

  // A field of one line would join the lines of a list, or the cells of a column.
  paste(event) {
    const text = event.clipboardData.getData("text");
    if (!/[\n\t]/.test(text.trim())) return;
    event.preventDefault();
    this.input.value = `${this.input.value}${text.trim().replace(/[\r\n\t]+/g, ", ")}, `;
    this.typed();
  }

  async typed() {
    const [people, rest] = take(this.input.value);
    if (people.length) {
      this.input.value = rest.trimStart();
      this.add(...people);
    }
    this.sync();
    const text = this.input.value.trim(), number = ++this.asked;
    if (!text) return this.close();
    await new Promise((done) => setTimeout(done, 120));
    if (number !== this.asked) return;
    try {
      const answer = await fetch(`/contacts/complete?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected) return this.close();
      const found = await answer.json();
      if (number === this.asked) this.open(found);
    } catch {
      this.close(); // without the network one still types addresses
    }
  }

  open(found) {
    this.found = found;
    this.at = -1;
    this.options.replaceChildren(...found.map((one, place) => {
      const row = document.createElement("li");
      row.id = `${this.options.id}-${place}`;
      row.setAttribute("role", "option");
      const name = document.createElement("bdi"), address = document.createElement("bdi");
      name.textContent = one.name || one.address;
      address.textContent = one.people ? `· ${one.people}` : one.name ? one.address : "";
      address.className = "faint";
      row.append(name, " ", address);
      return row;
    }));
    this.options.hidden = !found.length;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    this.said.textContent = found.length ? (words.found ?? "%s").replace("%s", found.length) : "";
    this.mark(found.length ? 0 : -1);
  }

  close() {
    this.asked++;
    if (!this.options.hidden) this.open([]);
  }

  mark(place) {
    this.at = place;
    [...this.options.children].forEach((row, n) => row.setAttribute("aria-selected", String(n === place)));
    if (place >= 0) {
      this.input.setAttribute("aria-activedescendant", this.options.children[place].id);
      this.options.children[place].scrollIntoView({ block: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }

  choose(place) {
    const { name, people, text } = this.found[place];
    this.input.value = "";
    this.close();
    this.add(...take(`${text},`)[0]); // one person, or a group
    if (people) this.said.textContent = `${name}: ${people}`;
    this.input.focus();
  }

  commit() {
    const text = this.input.value.trim();
    this.close();
    if (!text) return;
    this.input.value = "";
    this.add(text);
  }

  leave() {
    if (!this.input.parentElement.contains(document.activeElement)) this.commit();
  }

  key(event) {
    const isOpen = !this.options.hidden, count = this.found.length;
    const atStart = this.input.selectionStart === 0 && this.input.selectionEnd === 0;
    const back = getComputedStyle(this.list).direction === "rtl" ? "ArrowRight" : "ArrowLeft";
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) this.mark((this.at + (event.key === "ArrowDown" ? 1 : count - 1)) % count);
    else if (isOpen && this.at >= 0 && (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey))) this.choose(this.at);
    else if (event.key === "Enter" && this.input.value.trim()) this.commit();
    else if (event.key === "Enter") event.preventDefault();
    else if (event.key === "Escape" && isOpen) this.close();
    else if (this.people.length && atStart && (event.key === "Backspace" || event.key === back)) [...this.list.querySelectorAll("button")].at(-1).focus();
    else return;
    event.preventDefault();
  }
}

const fields = [...document.querySelectorAll("input#to, input#cc, input#bcc")].map((field) => new Recipients(field));

// Another script may have put a kept letter into the form.
document.querySelector("form.compose")?.addEventListener("click", (event) => {
  if (event.target.name === "restore") setTimeout(() => fields.forEach((one) => one.read(one.field.value)));
});
