// Notices lie in the top layer, so that an open dialog does not hide them.
const notices = document.getElementById("notices");
const STAYS = 8000; // ms, for good news; bad news stays until it is dismissed

function show() {
  if (!notices.children.length) return;
  if (notices.matches(":popover-open")) notices.hidePopover();
  notices.showPopover(); // anew, so that it lies on top
}

new MutationObserver((changes) => {
  for (const notice of changes.flatMap((change) => [...change.addedNodes])) {
    if (notice.classList?.contains("tone-good")) setTimeout(() => notice.remove(), STAYS);
  }
  show();
  if (!notices.children.length && notices.matches(":popover-open")) notices.hidePopover();
}).observe(notices, { childList: true });

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest(".notice").remove();
});

function say(message) {
  const notice = document.createElement("div");
  notice.className = "notice tone-bad";
  notice.setAttribute("role", "alert");
  const text = document.createElement("span");
  text.textContent = message;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "notice-close";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  notice.append(text, close);
  (document.querySelector("#dialog[open] #dialog-notice") ?? notices).replaceChildren(notice);
}

document.addEventListener("htmx:sendError", () => say("The panel does not answer. Nothing was sent; try again."));
document.addEventListener("htmx:timeout", () => say("The panel took too long to answer. It may have done what you asked: look before you repeat it."));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500 && event.detail.xhr.status !== 503) {
    say("The panel met an error that it did not expect; it is in its log. Look before you repeat it.");
  }
});
