// Asks the browser for notifications; the server's forms keep and remove them.

const form = document.querySelector("form[data-push-key]");
const state = document.querySelector("#push-state");

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));

async function subscribe(event) {
  event.preventDefault();
  state.textContent = "";
  if ((await Notification.requestPermission()) !== "granted") {
    state.textContent = state.dataset.denied;
    return;
  }
  try {
    await navigator.serviceWorker.register("/push-worker.js", { scope: "/" });
    const { pushManager } = await navigator.serviceWorker.ready;
    await (await pushManager.getSubscription())?.unsubscribe(); // it may have another key
    const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: decode(form.dataset.pushKey) });
    const { endpoint, keys } = made.toJSON();
    for (const [name, value] of Object.entries({ endpoint, ...keys })) form.elements[name].value = value;
    form.submit();
  } catch {
    state.textContent = state.dataset.failed;
  }
}

if (form && "PushManager" in window && "serviceWorker" in navigator) {
  document.querySelector("[data-without-push]").remove();
  form.hidden = false;
  form.addEventListener("submit", subscribe);
}
