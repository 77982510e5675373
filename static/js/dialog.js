// Opens [data-dialog] links in the page's dialog. Without this script they are plain pages.
const dialog = document.getElementById("dialog");
let opener = null;

export function openDialog(address) {
  window.htmx.ajax("GET", address, { target: "#dialog", swap: "innerHTML" });
}

function plainClick(event) {
  return event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (dialog && link && plainClick(event)) {
    event.preventDefault();
    opener = link.closest("#palette") ? null : link;
    openDialog(link.href);
  } else if (event.target.closest("[data-close]") && dialog?.open) {
    event.preventDefault();
    dialog.close();
  }
});

function focusFirst() {
  const wrong = dialog.querySelector("[aria-invalid=true]");
  const chosen = dialog.querySelector("[autofocus]");
  const first = dialog.querySelector("input:not([type=hidden]), select, textarea");
  const target = wrong || chosen || first || dialog.querySelector(".dialog-close");
  target?.focus();
  if (target?.matches("input[type=number]")) target.select();
}

// What no answer gives back, a secret's value and a chosen file, is put back here while the dialog is open.
const stays = new Map(); // a field's name → what was given

function keep() {
  for (const { name, type, value, files } of dialog.querySelectorAll("[data-stays]")) {
    stays.set(name, type === "file" ? files : value);
  }
}

function putBack() {
  const typed = dialog.querySelector("textarea[data-stays]");
  if (typed) typed.value = stays.get(typed.name) ?? "";
  const file = dialog.querySelector("input[data-stays]");
  if (!stays.get(file?.name)?.length) return;
  const shown = dialog.querySelector("textarea")?.value; // the text of a config's file, to be changed
  if (!shown || dialog.querySelector(".errorlist")) file.files = stays.get(file.name);
}

document.addEventListener("htmx:beforeSwap", (event) => event.detail.target === dialog && keep());
dialog?.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== dialog) return;
  putBack();
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  focusFirst();
});
dialog?.addEventListener("close", () => {
  dialog.replaceChildren();
  stays.clear();
  const again = opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id);
  (again || document.querySelector(`a[href="${opener?.getAttribute("href")}"]`))?.focus();
});
document.addEventListener("pilothouse:done", () => dialog?.close());
