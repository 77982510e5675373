// The command palette: Ctrl-K, type, arrows, Enter. The server finds; this moves the choice.
import { openDialog } from "./dialog.js";

const palette = document.getElementById("palette");
const input = document.getElementById("palette-input");
const options = () => [...palette.querySelectorAll("[role=option]:not([aria-disabled])")];

function choose(option) {
  for (const other of options()) other.setAttribute("aria-selected", String(other === option));
  input.setAttribute("aria-activedescendant", option?.id ?? "");
  option?.scrollIntoView({ block: "nearest" });
}

function open() {
  if (palette.open) return;
  palette.showModal();
  input.value = "";
  input.focus();
  window.htmx.trigger(input, "pilothouse:open");
}

function move(step) {
  const all = options();
  const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  choose(all[(at + step + all.length) % all.length]);
}

function go(link) {
  if (!link) return;
  palette.close();
  if ("dialog" in link.dataset) openDialog(link.href);
  else location.assign(link.href);
}

const KEYS = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  Enter: () => go(palette.querySelector("[aria-selected=true] a")),
};

if (palette) {
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      open();
    }
  });
  document.addEventListener("pilothouse:palette", open);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette]")) open();
    else if (event.target === palette) palette.close();
  });
  palette.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    go(link);
  });
  input.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  palette.addEventListener("submit", (event) => event.preventDefault());
  palette.addEventListener("htmx:afterSettle", () => choose(options()[0]));
}
