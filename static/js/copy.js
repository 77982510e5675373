const told = (selector) => document.querySelector(selector).textContent;

async function copy(button) {
  await navigator.clipboard.writeText(told(button.dataset.copy));
  const label = button.lastChild;
  const before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = before; }, 1500);
}

function save(button) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([told(button.dataset.save)], { type: "text/plain" }));
  link.download = button.dataset.saveAs;
  link.click();
  URL.revokeObjectURL(link.href);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-save]");
  if (button) (button.dataset.copy ? copy : save)(button);
});
