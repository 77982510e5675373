// Filters whose state stands in the address: empty ones are left out, chips and hidden fields follow.
function leaveOut(parameters) {
  for (const [name, value] of [...parameters.entries()]) {
    const plain = value === "" || (name === "stack" && value === "*") || (name === "sort" && value === "name");
    if (plain) parameters.delete(name);
  }
}

document.addEventListener("htmx:configRequest", (event) => {
  if (event.target.matches("form.filters")) leaveOut(event.detail.formData);
});

function follow() {
  const asked = new URLSearchParams(location.search);
  for (const input of document.querySelectorAll("form.filters input[type=hidden]")) {
    input.value = asked.get(input.name) ?? (input.name === "sort" ? "name" : "");
  }
  mark();
}

function mark() {
  for (const chip of document.querySelectorAll("a[data-filter]")) {
    const chosen = chip.closest("form")?.elements[chip.dataset.filter]?.value === chip.dataset.value;
    if (chosen) chip.setAttribute("aria-current", "true");
    else chip.removeAttribute("aria-current");
  }
}

document.addEventListener("click", (event) => {
  const chip = event.target.closest("form a[data-filter]");
  if (!chip || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const field = chip.closest("form").elements[chip.dataset.filter];
  field.value = field.value === chip.dataset.value ? "" : chip.dataset.value;
  mark();
  field.dispatchEvent(new Event("change", { bubbles: true }));
});
document.addEventListener("htmx:pushedIntoHistory", follow);
document.addEventListener("submit", (event) => {
  if (event.target.matches("form.filters[hx-get]")) event.preventDefault(); // htmx has sent it
});
new MutationObserver(mark).observe(document.getElementById("service-totals")?.parentNode ?? document.createElement("div"), { childList: true, subtree: true });
mark();
