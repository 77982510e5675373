// The charts of a page: read once, kept fresh by the page's socket, with one cursor and one zoom.
//
// The data: {"state", "reason", "since", "step", "start", "times", "charts", "marks"}; the socket
// brings the same with the newest points alone (see metrics/pictures.py).
import { said } from "./units.js";

const AGAIN = 700; // ms until data that was not there yet is asked for again
const HEIGHT = 170; // px of a chart
const FARTHEST = 3; // a limit so many times as high as the series is told, not drawn
const SHORTEST = 60; // seconds that one can zoom into
const COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [1, 3]];
const ROWS = 30; // of a chart's table
const root = document.getElementById("charts");

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (number) => style(COLOURS[number % COLOURS.length]);
// Colours come again with other dashes: 36 series can be told apart.
const dash = (number) => (number + Math.floor(number / COLOURS.length)) % DASHES.length;

// The piece of line that stands for a series, beside its name.
export function sampleOf(sample, number) {
  sample.style.borderTopColor = `var(${COLOURS[number % COLOURS.length]})`;
  sample.style.borderTopStyle = ["solid", "dashed", "dotted"][dash(number) % 3];
  sample.setAttribute("aria-hidden", "true");
  return sample;
}

function element(tag, of = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(of)) {
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function icon(name) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ class: "icon", fill: "none", stroke: "currentColor", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" })) made.setAttribute(key, value);
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${root.dataset.icons}#${name}`);
  made.append(use);
  return made;
}

// --- Times ---------------------------------------------------------------------------------------

const two = (number) => String(number).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const day = (at) => `${at.getDate()} ${MONTHS[at.getMonth()]}`;
const clock = (at, finely) => `${two(at.getHours())}:${two(at.getMinutes())}${finely ? `:${two(at.getSeconds())}` : ""}`;

function tick(seconds, increment) {
  const at = new Date(seconds * 1000);
  const midnight = at.getHours() === 0 && at.getMinutes() === 0;
  return increment >= 86400 || midnight ? day(at) : clock(at, increment < 60);
}

function moment(seconds) {
  const at = new Date(seconds * 1000);
  return `${day(at)} ${clock(at, true)}`;
}

// --- One chart -----------------------------------------------------------------------------------

export class Chart {
  constructor(page, data) {
    this.page = page;
    this.name = data.name;
    this.data = data;
    this.heading = element("h2", { text: data.title, id: `chart-${data.name}` });
    this.legend = element("ul", { class: "chart-legend" });
    this.plot = element("div", { class: "chart-plot" });
    this.marks = element("div", { class: "chart-marks" });
    this.told = element("p", { class: "chart-told" });
    this.table = element("details", { class: "chart-table" }, element("summary", { text: "As a table" }));
    this.table.addEventListener("toggle", () => this.fillTable());
    this.root = element("section", { class: "chart", "aria-labelledby": this.heading.id }, element("div", { class: "chart-head" }, this.heading, this.legend), this.plot, this.told, this.table);
    this.shape = "";
  }

  // What may not change without the chart being built anew.
  static shapeOf(data) {
    return JSON.stringify([data.series.map((one) => one.label), data.lines, data.unit]);
  }

  show(data) {
    this.data = data;
    this.told.textContent = data.error || data.warnings.join(" ");
    this.told.classList.toggle("tone-bad", Boolean(data.error));
    this.plot.hidden = !data.series.length;
    this.table.hidden = !data.series.length;
    if (!data.series.length) return;
    if (this.shape !== Chart.shapeOf(data)) this.build();
    else this.draw();
    this.chart.ctx.canvas.setAttribute("aria-label", `${data.title}: ${this.summary()}`);
    this.fillLegend(null);
    this.fillTable();
  }

  columns() {
    return [this.page.times, ...this.data.series.map((one) => one.values)];
  }

  highest() {
    const values = this.data.series.flatMap((one) => one.values).filter((value) => value !== null);
    return values.length ? Math.max(...values) : 0;
  }

  // A limit far above the series would press them flat.
  linesDrawn() {
    const highest = this.highest();
    return this.data.lines.filter((line) => line.value <= FARTHEST * highest || highest === 0);
  }

  build() {
    this.shape = Chart.shapeOf(this.data);
    this.chart?.destroy();
    const axis = { stroke: () => style("--quiet"), grid: { stroke: () => style("--line"), width: 1 }, ticks: { stroke: () => style("--line"), width: 1, size: 4 }, font: "11px system-ui, sans-serif" };
    const { unit } = this.data;
    const options = {
      width: this.width(),
      height: this.page.height ?? HEIGHT,
      padding: [18, 8, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "charts" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      scales: {
        x: { time: true, range: () => this.page.span() },
        y: { range: () => this.heights() },
      },
      axes: [
        { ...axis, size: 28, values: (_, splits, __, ___, increment) => splits.map((at) => tick(at, increment)) },
        { ...axis, size: 62, values: (_, splits) => splits.map((value) => said(unit, value)), ...(unit === "bytes" ? { incrs: [...Array(46).keys()].map((power) => 2 ** power) } : {}), ...(unit === "count" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 100_000, 1_000_000] } : {}) },
      ],
      series: [{}, ...this.data.series.map((one, number) => ({ label: one.label, stroke: () => colour(number), dash: DASHES[dash(number)], width: 1.5, spanGaps: false, points: { show: false } }))],
      hooks: {
        setCursor: [(chart) => this.fillLegend(chart.cursor.idx)],
        setSelect: [(chart) => this.selected(chart)],
        drawClear: [(chart) => this.drawSpans(chart)],
        draw: [(chart) => this.drawLines(chart)],
      },
    };
    this.chart = new window.uPlot(options, this.columns(), this.plot);
    this.chart.ctx.canvas.setAttribute("role", "img");
    this.chart.over.append(this.marks);
    this.chart.over.addEventListener("dblclick", () => this.page.zoomOut());
    this.placeMarks();
  }

  draw() {
    this.chart.setData(this.columns());
    this.placeMarks();
  }

  width() {
    return Math.max(200, this.plot.clientWidth || 320);
  }

  heights() {
    const lines = this.linesDrawn().map((line) => line.value);
    const highest = Math.max(this.highest(), ...lines);
    const lowest = Math.min(0, ...this.data.series.flatMap((one) => one.values.filter((value) => value !== null)));
    return [lowest * 1.08, highest > 0 ? highest * 1.08 : lowest < 0 ? 0 : 1];
  }

  resize() {
    if (!this.chart || this.plot.hidden || this.chart.width === this.width()) return;
    this.chart.setSize({ width: this.width(), height: this.page.height ?? HEIGHT });
    this.placeMarks();
  }

  selected(chart) {
    const { left, width } = chart.select;
    if (width < 4) return;
    const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.page.zoom(from, to);
  }

  // --- What stands over the series ---------------------------------------------------------------

  inside(chart, seconds) {
    const at = chart.valToPos(seconds, "x", true);
    return Math.min(Math.max(at, chart.bbox.left), chart.bbox.left + chart.bbox.width);
  }

  drawSpans(chart) {
    const { ctx, bbox } = chart;
    const [start, end] = this.page.span();
    for (const mark of this.page.marks) {
      const until = mark.until ?? end;
      if (until < start || mark.at > end) continue;
      const left = this.inside(chart, mark.at);
      ctx.save();
      ctx.fillStyle = style(`--tone-${mark.tone}`);
      // An alert may last for all of it: a strip at the top tells as much as the whole ground.
      ctx.globalAlpha = mark.kind === "alert" ? 0.8 : 0.12;
      const height = mark.kind === "alert" ? 3 * devicePixelRatio : bbox.height;
      ctx.fillRect(left, bbox.top, Math.max(1, this.inside(chart, until) - left), height);
      ctx.globalAlpha = 0.8;
      if (mark.at > start) ctx.fillRect(left, bbox.top, devicePixelRatio, bbox.height);
      ctx.restore();
    }
  }

  drawLines(chart) {
    const { ctx, bbox } = chart;
    this.linesDrawn().forEach((line) => {
      const at = Math.round(chart.valToPos(line.value, "y", true)) + 0.5;
      ctx.save();
      ctx.strokeStyle = style(line.label === "Limit" ? "--tone-bad" : "--quiet");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, at);
      ctx.lineTo(bbox.left + bbox.width, at);
      ctx.stroke();
      ctx.fillStyle = style("--quiet");
      ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.textAlign = "right";
      // Below a line at the top, where alerts are drawn.
      const above = at - bbox.top > 20 * devicePixelRatio;
      ctx.textBaseline = above ? "bottom" : "top";
      ctx.fillText(line.label, bbox.left + bbox.width - 3 * devicePixelRatio, at + (above ? -2 : 3) * devicePixelRatio);
      ctx.restore();
    });
  }

  // Links for the mouse: the list below the charts is there for keyboards and screen readers.
  placeMarks() {
    const [start, end] = this.page.span();
    const links = this.page.marks.filter((mark) => mark.at >= start && mark.at <= end).map((mark) => {
      const link = element(mark.url ? "a" : "span", { class: `chart-mark tone-${mark.tone}`, tabindex: "-1", "aria-hidden": "true", title: `${mark.label}: ${mark.state}, ${moment(mark.at)}` }, icon(mark.icon));
      if (mark.url) link.href = mark.url;
      link.style.left = `${this.chart.valToPos(mark.at, "x")}px`;
      return link;
    });
    this.marks.replaceChildren(...links);
  }

  // --- In words ----------------------------------------------------------------------------------

  fillLegend(index) {
    const { unit, series, lines } = this.data;
    const items = series.map((one, number) => {
      const sample = sampleOf(element("span", { class: "chart-sample" }), number);
      const value = index === null || index === undefined ? newest(one.values) : one.values[index];
      return element("li", {}, sample, `${one.label} `, element("strong", { class: "num", text: said(unit, value) }));
    });
    const drawn = this.linesDrawn();
    for (const line of lines) {
      items.push(element("li", { class: "text-secondary" }, `${line.label} ${said(unit, line.value)}${drawn.includes(line) ? "" : ", above"}`));
    }
    this.legend.replaceChildren(...items);
  }

  summary() {
    const { unit, series } = this.data;
    return series.map((one) => {
      const values = one.values.filter((value) => value !== null);
      if (!values.length) return `${one.label} has no value`;
      return `${one.label} ${said(unit, values.at(-1))}, lowest ${said(unit, Math.min(...values))}, highest ${said(unit, Math.max(...values))}`;
    }).join("; ");
  }

  fillTable() {
    if (!this.table.open || !this.data.series.length) return;
    const { unit, series, title } = this.data;
    const head = element("tr", {}, element("th", { scope: "col", text: "Time" }), ...series.map((one) => element("th", { scope: "col", class: "num", text: one.label })));
    const { times } = this.page;
    const every = Math.max(1, Math.ceil(times.length / ROWS));
    const rows = times.map((at, index) => [at, index]).filter(([, index]) => (times.length - 1 - index) % every === 0).reverse();
    const body = rows.map(([at, index]) => element("tr", {}, element("th", { scope: "row", class: "num", text: moment(at) }), ...series.map((one) => element("td", { class: "num", text: said(unit, one.values[index]) }))));
    const table = element("table", { class: "table table-sm" }, element("caption", { class: "visually-hidden", text: `${title}, newest first` }), element("thead", {}, head), element("tbody", {}, ...body));
    const wrap = element("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": `${title} as a table` }, table);
    this.table.querySelector(".table-wrap")?.remove();
    this.table.append(wrap);
  }
}

const newest = (values) => values.findLast((value) => value !== null);

// --- All of them ---------------------------------------------------------------------------------

class Page {
  constructor() {
    this.times = [];
    this.marks = [];
    this.charts = new Map();
    this.range = root.dataset.range;
    this.before = /^\d+-\d+$/.test(this.range) ? "1h" : this.range; // what zooming out leads to
    this.zoomed = null;
    this.state = document.getElementById("charts-state");
    this.out = document.querySelector("[data-zoom-out]");
    this.out.addEventListener("click", (event) => this.follow(event, this.before));
    document.querySelector(".ranges").addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (link) this.follow(event, new URL(link.href).searchParams.get("range"));
    });
    window.addEventListener("popstate", () => this.go(new URL(location.href).searchParams.get("range") ?? "1h"));
    document.addEventListener("pilothouse:swapped", (event) => this.heard(event.target));
    document.addEventListener("keydown", (event) => event.key === "Escape" && !document.querySelector("dialog[open]") && this.zoomOut());
    new ResizeObserver(() => this.charts.forEach((chart) => chart.resize())).observe(root);
    new MutationObserver(() => this.redraw()).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
    this.load();
  }

  fixed() {
    return /^\d+-\d+$/.test(this.range);
  }

  span() {
    if (this.zoomed) return this.zoomed;
    return this.times.length ? [this.times[0], this.times.at(-1)] : [0, 1];
  }

  redraw() {
    this.charts.forEach((chart) => chart.chart?.redraw(false));
  }

  // --- Where one is ------------------------------------------------------------------------------

  follow(event, range) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.visit(range);
  }

  visit(range) {
    if (range === this.range) return;
    const address = new URL(location.href);
    address.searchParams.set("range", range);
    history.pushState(null, "", address);
    this.go(range);
  }

  go(range) {
    this.range = range;
    root.dataset.range = range;
    if (!this.fixed()) {
      this.before = range;
      this.zoomed = null;
    }
    for (const link of document.querySelectorAll(".ranges a")) {
      if (new URL(link.href).searchParams.get("range") === range) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    this.out.hidden = !this.fixed();
    const { topic } = root.dataset;
    const topics = document.body.dataset.liveTopics.trim().split(/\s+/).filter((one) => !one.startsWith(topic));
    document.body.dataset.liveTopics = [...topics, topic + range].join(" ");
    document.dispatchEvent(new CustomEvent("pilothouse:topics"));
    this.load();
  }

  zoom(from, to) {
    const [start, end] = [Math.floor(from), Math.ceil(to)];
    if (end - start < SHORTEST) return;
    this.zoomed = [start, end];
    this.charts.forEach((chart) => chart.chart?.setScale("x", { min: start, max: end }));
    this.visit(`${start}-${end}`);
  }

  zoomOut() {
    if (this.fixed()) this.visit(this.before);
  }

  // --- What there is to show ---------------------------------------------------------------------

  async load() {
    const range = this.range;
    const address = new URL(root.dataset.address, location.href);
    address.searchParams.set("range", range);
    clearTimeout(this.later);
    let data = { state: "loading" };
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      if (answer.redirected || answer.status === 401) location.reload();
      if (answer.ok) data = await answer.json();
    } catch { /* the panel is away, as the live indicator says */ }
    if (range !== this.range) return;
    if (data.state === "loading") this.later = setTimeout(() => this.load(), AGAIN);
    else this.take(data);
  }

  take(data) {
    this.zoomed = null;
    this.times = data.times;
    this.marks = data.marks;
    this.step = data.step;
    this.tell(data);
    if (data.state === "ok") this.show(data.charts);
  }

  // Frames of the socket: the newest points, which follow those that are here, or else all is read.
  heard(target) {
    if (target.id === "main") return this.load(); // read anew as a whole, and without its charts
    if (target.id !== "metrics-news" || !target.dataset.news) return undefined;
    const news = JSON.parse(target.dataset.news);
    if (news.state !== "ok") {
      if (news.state !== "loading") this.tell(news);
      return undefined;
    }
    if (this.fixed() && this.times.length) return this.remark(news.marks);
    if (!this.follows(news)) return this.load();
    this.tell(news);
    this.join(news);
    return undefined;
  }

  remark(marks) {
    this.marks = marks;
    this.charts.forEach((chart) => chart.chart && (chart.chart.redraw(false), chart.placeMarks()));
    this.list();
  }

  follows(news) {
    const first = news.times[0];
    const near = news.step === this.step && first <= (this.times.at(-1) ?? -1) + news.step;
    const same = news.charts.length === this.all?.length && news.charts.every((chart, number) =>
      chart.name === this.all[number].name && Chart.shapeOf(chart) === Chart.shapeOf(this.all[number]));
    return near && same;
  }

  join(news) {
    const since = news.times[0];
    const cut = this.times.findIndex((at) => at >= since);
    const kept = cut < 0 ? this.times.length : cut;
    const drop = this.times.findIndex((at) => at >= news.start);
    const from = drop < 0 ? kept : Math.min(drop, kept);
    this.times = [...this.times.slice(from, kept), ...news.times];
    this.marks = news.marks;
    const charts = news.charts.map((chart, number) => ({
      ...chart,
      series: chart.series.map((one, index) => ({
        ...one,
        values: [...this.all[number].series[index].values.slice(from, kept), ...one.values],
      })),
    }));
    this.show(charts);
  }

  show(charts) {
    this.all = charts;
    const drawn = charts.filter((chart) => chart.series.length || chart.error);
    const missing = charts.filter((chart) => !drawn.includes(chart));
    const parts = drawn.map((data) => {
      const chart = this.charts.get(data.name) ?? new Chart(this, data);
      this.charts.set(data.name, chart);
      return chart;
    });
    const roots = parts.map((chart) => chart.root);
    const note = this.missing(missing, drawn.length);
    const wanted = note ? [...roots, note] : roots;
    const present = [...root.children].filter((child) => !child.matches(".charts-missing"));
    if (present.length !== roots.length || present.some((child, number) => child !== roots[number])) root.replaceChildren(...wanted);
    else {
      root.querySelector(".charts-missing")?.remove();
      if (note) root.append(note);
    }
    parts.forEach((chart, number) => chart.show(drawn[number]));
    this.list();
  }

  missing(charts, drawn) {
    if (drawn && !charts.length) return null;
    const link = root.dataset.mapping ? [" ", element("a", { href: root.dataset.mapping, text: "Set the names that the panel looks for" })] : [];
    const looked = charts.map((chart) => element("li", {}, `${chart.title}: `, element("code", { text: chart.needs })));
    const list = element("ul", { class: "plain" }, ...looked);
    const none = root.dataset.none ? `${root.dataset.none}: ` : "Nothing was found for ";
    if (drawn) return element("details", { class: "charts-missing" }, element("summary", { text: `${none}${charts.map((chart) => (root.dataset.none ? chart.title : chart.title.toLowerCase())).join(", ")}` }), list, element("p", {}, ...link));
    const words = root.dataset.noneWords ?? (charts.length ? "Prometheus answers, but has none of these in this range:" : "Prometheus answers, but has no series that is labelled with the names of this cluster's services.");
    return element("div", { class: "charts-missing empty-state" }, icon("chart-line"), element("h2", { text: root.dataset.none ?? "No series of this service was found" }), element("p", { text: words }), list, element("p", {}, ...link));
  }

  // Above the charts: what is wrong, since when. What is shown stays, and says by that how old it is.
  tell(data) {
    const strips = [];
    if (data.state === "away") {
      const since = data.since ? ` since ${moment(Date.parse(data.since) / 1000)}` : "";
      strips.push(element("div", { class: "strip tone-bad" }, icon("plug-connected-x"), element("span", {}, element("strong", { text: `Metrics unavailable${since}` }), `. ${data.reason}`)));
    } else if (data.state !== "ok") {
      strips.push(element("div", { class: "strip tone-warn" }, icon("help-circle"), element("span", { text: "The service or the source of its metrics is gone." })));
    }
    if (this.told === strips.map((strip) => strip.textContent).join()) return;
    this.told = strips.map((strip) => strip.textContent).join();
    this.state.replaceChildren(...strips);
    root.classList.toggle("charts-old", data.state === "away");
    if (data.state !== "ok" && !this.charts.size) root.replaceChildren();
  }

  list() {
    const section = document.getElementById("charts-marks");
    section.hidden = !this.marks.length;
    const items = [...this.marks].sort((a, b) => b.at - a.at).map((mark) => {
      const state = element("span", { class: `state tone-${mark.tone}` }, icon(mark.icon), mark.state);
      const what = [state, element("strong", { text: mark.label })];
      const before = mark.kind === "alert" && mark.at <= this.times[0] ? "before " : "";
      const when = mark.until ? `${before}${moment(mark.at)} – ${moment(mark.until)}` : `since ${before}${moment(mark.at)}`;
      const head = mark.url ? element("a", { href: mark.url }, ...what) : element("span", { class: "mark-plain" }, ...what);
      return element("li", {}, head, element("span", { class: "text-secondary num", text: when }));
    });
    section.querySelector("ol").replaceChildren(...items);
  }
}

if (root) window.addEventListener("DOMContentLoaded", () => new Page(), { once: true });
