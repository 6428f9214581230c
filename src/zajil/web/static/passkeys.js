// Passkeys (WebAuthn): the browser makes them and signs with them; the forms are the server's.

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function read(text) {
  const options = JSON.parse(text);
  options.challenge = decode(options.challenge);
  if (options.user) options.user.id = decode(options.user.id);
  for (const list of [options.allowCredentials, options.excludeCredentials]) {
    for (const one of list ?? []) one.id = decode(one.id);
  }
  return options;
}

function write(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = encode(credential.response[name]);
  }
  const { id, type } = credential;
  return JSON.stringify({ id, rawId: encode(credential.rawId), type, response, clientExtensionResults: {} });
}

if (window.PublicKeyCredential) document.querySelector("[data-without-passkeys]")?.remove();
for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) break;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const failed = form.querySelector(".failed");
    failed.hidden = true;
    try {
      const publicKey = read(form.dataset.passkey);
      const kind = publicKey.user ? "create" : "get";
      form.elements.credential.value = write(await navigator.credentials[kind]({ publicKey }));
      form.submit();
    } catch {
      failed.hidden = false;
    }
  });
}
