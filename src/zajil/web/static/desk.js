// Copies a password that is shown once. The button stays hidden where the browser cannot copy.

for (const button of navigator.clipboard ? document.querySelectorAll("button[data-copy]") : []) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.done;
  });
}

// Selects all rows of a page.
for (const all of document.querySelectorAll("input.pick-all")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const one of all.form.querySelectorAll("input[name=mail_id]")) one.checked = all.checked;
  });
}
