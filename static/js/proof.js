// “Confirm that it is you”, in a dialog of its own above whatever is open: what was typed below stays,
// and what was asked for is asked again once the proof is given.
const proof = document.getElementById("proof");
let waiting = null; // what goes on once the person has proved who they are

function again({ elt, verb, path, target, triggeringEvent }) {
  if (elt.matches("form")) elt.requestSubmit(triggeringEvent?.submitter);
  else window.htmx.ajax(verb, path, { source: elt, target, swap: elt === document.body ? "innerHTML" : undefined });
}

// Whoever proves it at an identity provider does so in another tab, which tells all of ours.
const proven = new BroadcastChannel("pilothouse:proven");

if (document.querySelector("[data-proven-here]")) proven.postMessage("");

if (proof) {
  proven.addEventListener("message", () => {
    if (waiting) document.dispatchEvent(new Event("pilothouse:proven"));
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, requestConfig } = event.detail;
    const ours = requestConfig.elt.closest("#proof") || requestConfig.path === proof.dataset.address;
    if (target === proof && !ours) waiting = () => again(requestConfig);
  });
  proof.addEventListener("htmx:afterSwap", () => {
    if (!proof.open) proof.showModal();
    const wrong = proof.querySelector("[aria-invalid=true]");
    (wrong ?? proof.querySelector("input:not([type=hidden]), .btn-primary"))?.focus();
  });
  proof.addEventListener("click", (event) => event.target.closest("[data-proof-close]") && proof.close());
  proof.addEventListener("close", () => {
    proof.replaceChildren();
    waiting = null;
  });
  document.addEventListener("pilothouse:proven", () => {
    const next = waiting;
    waiting = null;
    if (proof.open) proof.close();
    next?.();
  });

  // Forms that htmx does not send ask before they go.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-needs-proof]") || "proven" in form.dataset) return;
    event.preventDefault();
    waiting = () => {
      form.dataset.proven = "";
      form.requestSubmit(event.submitter);
      delete form.dataset.proven;
    };
    window.htmx.ajax("GET", proof.dataset.address, { target: "#proof", swap: "innerHTML" });
  });
}
