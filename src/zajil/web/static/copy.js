// Buttons that copy a value; without a clipboard they stay hidden.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.querySelector(".copied").textContent = button.dataset.done;
  });
}
