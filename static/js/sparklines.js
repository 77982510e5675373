// CPU and memory of each service in the table: one reading for the page, again when the socket says
// that there are new ones.
import { said } from "./units.js";

const UNITS = { cpu: "percent", memory: "bytes" };
const AGAIN = 1500; // ms until what was not there yet is asked for again
let known = {}; // cpu, memory → a service's name → its values
let shown = ""; // the number of the sparklines that are drawn

const root = () => document.getElementById("sparklines");
const cells = () => [...document.querySelectorAll("[data-load]")];

async function read() {
  const names = cells().map((cell) => cell.dataset.load);
  if (!root() || !names.length) return;
  const address = new URL(root().dataset.address, location.href);
  for (const name of names) address.searchParams.append("service", name);
  const answer = await fetch(address, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return;
  const data = await answer.json();
  if (data.state === "loading") setTimeout(read, AGAIN);
  known = data.series ?? {};
  cells().forEach(draw);
}

function draw(cell) {
  [...cell.querySelectorAll(".load")].forEach((part) => {
    const value = part.querySelector("[data-value]");
    const name = value.dataset.value;
    const values = known[name]?.[cell.dataset.load];
    const newest = values?.findLast((one) => one !== null);
    value.textContent = newest === undefined ? "" : said(UNITS[name], newest);
    line(part.querySelector("canvas"), values ?? []);
  });
}

function line(canvas, values) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  const there = values.filter((one) => one !== null);
  if (!there.length) return;
  const highest = Math.max(...there) * 1.1 || 1;
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.beginPath();
  let pen = false;
  values.forEach((one, index) => {
    if (one === null) { pen = false; return; }
    const at = [2 + (index / Math.max(1, values.length - 1)) * (width - 4), height - 2 - (one / highest) * (height - 4)];
    if (pen) context.lineTo(...at);
    else context.moveTo(...at);
    pen = true;
  });
  context.stroke();
}

if (root()) {
  read();
  document.addEventListener("pilothouse:swapped", ({ target }) => {
    if (target.id === "sparklines") {
      if (target.dataset.number !== shown) read();
      shown = target.dataset.number;
      return;
    }
    // Rows come from the server without what was drawn; another part of the table has others.
    for (const cell of target.querySelectorAll("[data-load]")) draw(cell);
    if (target.id === "service-table") read();
  });
  document.addEventListener("htmx:afterSettle", (event) => event.target.id === "service-table" && read());
  new MutationObserver(() => cells().forEach(draw)).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
}
