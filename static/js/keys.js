// "/" goes to the page's search; Ctrl-K (palette.js) to the command palette.
function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const search = document.querySelector("main [data-search]");
  event.preventDefault();
  if (search) {
    search.focus();
    search.select();
  } else document.dispatchEvent(new CustomEvent("pilothouse:palette"));
});
