// The timeline: it moves on with the clock, and its marks are one stop of the Tab key, between which
// the arrow keys move.
const STEP = 5000; // ms between two moves of the axis
const part = () => document.getElementById("timeline");

// Where a moment is on the axis that ends now, in per cent.
function place(moment, length) {
  return 100 * (1 - (Date.now() - Date.parse(moment)) / length);
}

function move() {
  const timeline = part();
  if (!timeline) return;
  const length = Date.parse(timeline.dataset.until) - Date.parse(timeline.dataset.since);
  for (const mark of timeline.querySelectorAll(".mark")) {
    const left = Math.max(0, place(mark.dataset.since, length));
    const right = "open" in mark.dataset ? 100 : place(mark.dataset.until, length);
    const rect = mark.querySelector("rect");
    rect.setAttribute("x", `${left}%`);
    rect.setAttribute("width", `${Math.max(0, right - left)}%`);
  }
  for (const tick of timeline.querySelectorAll("[data-at]")) {
    const x = `${place(tick.dataset.at, length)}%`;
    tick.querySelector("text").setAttribute("x", x);
    for (const end of ["x1", "x2"]) tick.querySelector("line").setAttribute(end, x);
  }
}

const marks = () => [...(part()?.querySelectorAll(".mark") ?? [])];

// One mark can be reached by Tab: the newest, or the one that was looked at last.
function oneStop() {
  const all = marks();
  if (!all.length || all.some((mark) => mark.getAttribute("tabindex") === "0")) return;
  all.at(-1).setAttribute("tabindex", "0");
}

function look(mark) {
  for (const other of marks()) other.setAttribute("tabindex", other === mark ? "0" : "-1");
  mark.focus();
}

// The mark of the next lane that has one, nearest in time.
function across(mark, step) {
  const lanes = [...part().querySelectorAll(".lane")].filter((lane) => lane.querySelector(".mark"));
  const lane = lanes[lanes.indexOf(mark.closest(".lane")) + step];
  const at = Date.parse(mark.dataset.since);
  const far = (other) => Math.abs(Date.parse(other.dataset.since) - at);
  return [...(lane?.querySelectorAll(".mark") ?? [])].sort((a, b) => far(a) - far(b))[0];
}

function show(mark) {
  const entry = document.getElementById(mark.getAttribute("href").slice(1));
  if (!entry) return;
  entry.focus();
  entry.scrollIntoView({ block: "center" });
}

// Another range may be told of by other topics than those that the socket asked for.
let topics = part()?.dataset.topics ?? "";

function takeTopics() {
  const now = part()?.dataset.topics ?? "";
  if (now === topics) return;
  const old = topics.split(" ");
  const kept = document.body.dataset.liveTopics.trim().split(/\s+/).filter((one) => !old.includes(one));
  topics = now;
  const all = [...new Set([...kept, ...now.split(" ")])].filter(Boolean).join(" ");
  if (all === document.body.dataset.liveTopics) return;
  document.body.dataset.liveTopics = all;
  document.dispatchEvent(new CustomEvent("pilothouse:topics"));
}

if (part()) {
  oneStop();
  setInterval(move, STEP);
  document.addEventListener("pilothouse:swapped", oneStop);
  document.addEventListener("htmx:afterSettle", oneStop);
  document.addEventListener("pilothouse:swapped", takeTopics);
  document.addEventListener("htmx:afterSettle", takeTopics);
  document.addEventListener("keydown", (event) => {
    const mark = event.target.closest?.(".mark");
    if (!mark) return;
    const lane = [...mark.closest(".lane").querySelectorAll(".mark")];
    const at = lane.indexOf(mark);
    const next = {
      ArrowRight: () => lane[at + 1],
      ArrowLeft: () => lane[at - 1],
      Home: () => lane[0],
      End: () => lane.at(-1),
      ArrowDown: () => across(mark, 1),
      ArrowUp: () => across(mark, -1),
    }[event.key]?.();
    if (!next) return;
    event.preventDefault();
    look(next);
  });
  document.addEventListener("click", (event) => {
    const mark = event.target.closest?.(".mark");
    if (!mark || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(mark);
  });
}
