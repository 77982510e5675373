// Small helps in forms: − and + beside a number, rows of names and values that can be added.
document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-stepper] [data-by]");
  if (step) {
    const input = step.parentNode.querySelector("input");
    input.value = Math.max(0, (parseInt(input.value, 10) || 0) + Number(step.dataset.by));
    return;
  }
  const add = event.target.closest("[data-add-row]");
  if (add) addRow(add.closest("[data-rows]"));
});

function addRow(editor) {
  const total = editor.querySelector("[name$=TOTAL_FORMS]");
  const template = editor.querySelector("template");
  const row = template.content.firstElementChild.cloneNode(true);
  for (const input of row.querySelectorAll("input")) {
    for (const name of ["name", "id"]) input[name] = input[name].replace("__prefix__", total.value);
  }
  total.value = Number(total.value) + 1;
  editor.querySelector(".pair-rows").append(row);
  row.querySelector("input:not([type=hidden])").focus();
}

// A row that differs from what it was is marked.
document.addEventListener("input", (event) => {
  const pair = event.target.closest(".pair");
  if (!pair) return;
  const changed = [...pair.querySelectorAll("input[type=text]")].some((input) => input.value !== input.defaultValue);
  pair.classList.toggle("pair-changed", changed);
});
