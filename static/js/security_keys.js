// Forms with [data-key]: "create" registers a security key, "get" asks for one. The browser's answer
// goes into the form's field `credential`; the form is then sent as any other.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const named = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

function creation(options) {
  const key = options.publicKey;
  return {
    publicKey: {
      ...key,
      challenge: bytes(key.challenge),
      user: { ...key.user, id: bytes(key.user.id) },
      excludeCredentials: named(key.excludeCredentials),
    },
  };
}

function request(options) {
  const key = options.publicKey;
  return {
    publicKey: { ...key, challenge: bytes(key.challenge), allowCredentials: named(key.allowCredentials) },
  };
}

const ANSWER = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];

function asJSON(credential) {
  const response = {};
  for (const name of ANSWER) if (credential.response[name]) response[name] = text(credential.response[name]);
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  });
}

// Browsers know security keys by the host's name: an IP address has none.
function whyNot() {
  if (/^[\d.]+$|^\[/.test(location.hostname)) {
    const local = ["127.0.0.1", "[::1]"].includes(location.hostname);
    return local
      ? `Security keys work with a name, not with ${location.hostname}. Open http://localhost:${location.port} instead, and sign in there.`
      : "Security keys work with a name, not with an IP address. Open the panel by its host name.";
  }
  if (!window.isSecureContext) return "Security keys work over HTTPS alone. Open the panel by https://, or ask whoever runs it.";
  return window.PublicKeyCredential ? "" : "This browser knows no security keys.";
}

function inWords(error) {
  if (error.name === "InvalidStateError") return "This key is added already.";
  if (error.name === "NotAllowedError") return "The key was not used in time, or you cancelled. Try again.";
  return `The browser could not use the key: ${error.message}`;
}

function say(form, message) {
  const list = document.createElement("ul");
  list.className = "errorlist";
  list.append(Object.assign(document.createElement("li"), { textContent: message }));
  form.querySelector("[data-key-said]").replaceChildren(list);
}

async function ask(form, submitter) {
  const options = JSON.parse(form.dataset.keyOptions);
  const credential = form.dataset.key === "create"
    ? await navigator.credentials.create(creation(options))
    : await navigator.credentials.get(request(options));
  form.elements.credential.value = asJSON(credential);
  form.requestSubmit(submitter);
}

// Before htmx and every other listener: without a credential there is nothing to send.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-key]") || form.elements.credential.value) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const reason = whyNot();
  if (reason) return say(form, reason);
  form.querySelector("[data-key-said]").replaceChildren();
  try {
    await ask(form, event.submitter);
  } catch (error) {
    say(form, inWords(error));
  }
}, true);
