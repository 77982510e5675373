// The page for any query: Ctrl-Enter runs it, a range runs it again, its answer becomes a chart.
import { Chart, sampleOf } from "./charts.js";

const form = document.getElementById("query-form");
const HEIGHT = 260; // px
const RANGE = /^\d+-\d+$/;

// What a chart asks of the page that it stands on.
class Page {
  constructor(data) {
    this.times = data.times;
    this.marks = [];
    this.height = HEIGHT;
  }

  span() {
    return [this.times[0], this.times.at(-1)];
  }

  zoom(from, to) {
    const [start, end] = [Math.floor(from), Math.ceil(to)];
    if (end - start < 60) return;
    const zoomed = form.querySelector("[data-zoomed]");
    before ??= form.elements.range.value;
    zoomed.hidden = false;
    zoomed.querySelector("input").value = `${start}-${end}`;
    zoomed.querySelector("input").checked = true;
    form.requestSubmit();
  }

  zoomOut() {
    const wanted = [...form.elements.range].find((radio) => radio.value === (before ?? "1h"));
    if (!RANGE.test(form.elements.range.value)) return;
    wanted.checked = true;
    form.requestSubmit();
  }
}

let before = null; // the range that zooming out leads to
let chart = null;

function draw(place) {
  const data = JSON.parse(place.dataset.chart);
  chart = new Chart(new Page(data), data);
  place.replaceChildren(chart.root);
  chart.show(data);
  for (const sample of document.querySelectorAll("[data-sample]")) sampleOf(sample, Number(sample.dataset.sample));
}

function runs() {
  if (form.elements.query.value.trim()) form.requestSubmit();
}

if (form) {
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("change", (event) => {
    if (!event.target.matches("[name=range], [name=unit]")) return;
    if (!RANGE.test(form.elements.range.value)) {
      before = null;
      form.querySelector("[data-zoomed]").hidden = true;
    }
    runs();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) chart?.page.zoomOut();
  });
  document.addEventListener("htmx:afterSettle", () => {
    const place = document.getElementById("query-chart");
    if (place && !place.children.length) draw(place);
  });
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      const loading = document.querySelector("#result .charts-loading");
      if (event.target.closest("#result, #query-form") && loading) loading.textContent = "No answer came: run it again.";
    });
  }
  new ResizeObserver(() => chart?.resize()).observe(form);
  new MutationObserver(() => chart?.chart?.redraw(false)).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
}
