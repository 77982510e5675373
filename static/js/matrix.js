// The task matrix: click or focus shows a task beside it; arrow keys move between tasks.
const WAIT = 120; // ms of focus before a task is asked for, so that moving through asks little
let waiting = null;
let shown = "";

function detail(link) {
  if (!document.getElementById("task-detail") || shown === link.href) return;
  shown = link.href;
  for (const cell of document.querySelectorAll(".cell[aria-current]")) cell.removeAttribute("aria-current");
  const id = link.pathname.match(/tasks\/([^/]+)\//)?.[1];
  document.getElementById(`task-${id}`)?.setAttribute("aria-current", "true");
  window.htmx.ajax("GET", link.href, { target: "#task-detail", swap: "outerHTML" });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.cell, a[data-task]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!document.getElementById("task-detail")) return;
  event.preventDefault();
  clearTimeout(waiting);
  detail(link);
});

document.addEventListener("focusin", (event) => {
  const cell = event.target.closest?.("a.cell");
  clearTimeout(waiting);
  if (cell) waiting = setTimeout(() => detail(cell), WAIT);
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
