// The task matrix: click or focus shows a task beside it; arrow keys move between tasks.
const WAIT = 120; // ms of focus before a task is asked for, so that moving through asks little
let waiting = null;
let shown = ""; // the address of the task beside the matrix
let told = ""; // what its cell said of it

function cellOf(address) {
  const id = new URL(address, location.href).pathname.match(/tasks\/([^/]+)\//)?.[1];
  return document.getElementById(`task-${id}`);
}

function detail(address, again = false) {
  if (!document.getElementById("task-detail") || (shown === address && !again)) return;
  shown = address;
  for (const cell of document.querySelectorAll(".cell[aria-current]")) cell.removeAttribute("aria-current");
  const cell = cellOf(address);
  cell?.setAttribute("aria-current", "true");
  told = cell?.dataset.value ?? "";
  window.htmx.ajax("GET", address, { target: "#task-detail", swap: "outerHTML" });
}

// The task beside the matrix moves with its cell.
document.addEventListener("pilothouse:swapped", (event) => {
  if (!shown || !event.target.closest("#task-matrix")) return;
  if ((cellOf(shown)?.dataset.value ?? "") !== told) detail(shown, true);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.cell, a[data-task]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!document.getElementById("task-detail")) return;
  event.preventDefault();
  clearTimeout(waiting);
  detail(link.href);
});

document.addEventListener("focusin", (event) => {
  const cell = event.target.closest?.("a.cell");
  clearTimeout(waiting);
  if (cell) waiting = setTimeout(() => detail(cell.href), WAIT);
});

// The cell above or below: the nearest one in the next row.
function inRow(cell, cells, step) {
  const here = cell.getBoundingClientRect();
  const others = cells.map((other) => [other, other.getBoundingClientRect()]);
  const beyond = others.filter(([, box]) => (step > 0 ? box.top > here.bottom - 4 : box.bottom < here.top + 4));
  const rows = beyond.map(([, box]) => box.top);
  const row = step > 0 ? Math.min(...rows) : Math.max(...rows);
  const near = beyond.filter(([, box]) => Math.abs(box.top - row) < 4);
  near.sort(([, a], [, b]) => Math.abs(a.left - here.left) - Math.abs(b.left - here.left));
  return near[0]?.[0];
}

document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.(".cells a.cell");
  if (!cell) return;
  const cells = [...cell.closest(".cells").querySelectorAll("a.cell")];
  const at = cells.indexOf(cell);
  const next = {
    ArrowRight: () => cells[at + 1],
    ArrowLeft: () => cells[at - 1],
    ArrowDown: () => inRow(cell, cells, 1),
    ArrowUp: () => inRow(cell, cells, -1),
    Home: () => cells[0],
    End: () => cells.at(-1),
  }[event.key]?.();
  if (!next) return;
  event.preventDefault();
  next.focus();
});
