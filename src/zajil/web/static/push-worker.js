// Shows notifications of new mail, also while no page is open; it is served as /push-worker.js.

addEventListener("push", (event) => {
  let told = {};
  try {
    told = event.data.json();
  } catch {
    // A browser has to show something; the next message says more.
  }
  const { title = "Zajil", body = "", tag = "", path = "/mail" } = told;
  event.waitUntil(registration.showNotification(title, { body, tag, dir: "auto", icon: "/static/pigeon.svg", data: path }));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(new URL(event.notification.data, location.origin)));
});

async function show(address) {
  if (address.origin !== location.origin) return;
  const [page] = await clients.matchAll({ type: "window" });
  if (!page) await clients.openWindow(address);
  else await (await page.focus()).navigate(address);
}
