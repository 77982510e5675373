// The live path's last step: one socket per page, and an indicator that never lies.
//
// A frame is a JSON header line {"sequence", "reload", "behind"} and HTML, whose top-level elements
// replace those of the same id; rows come in a table. An empty one is a sign of life.
import { refreshPart, swapFragments } from "./swap.js";

const SILENCE = 12_000; // ms without a frame, after which the socket is taken for dead
const LONGEST_WAIT = 15_000; // ms between two attempts
const LEAVING = 15_000; // ms that what leads away may take: its answer says where to, not the socket
const SIGN_IN = "/sign-in/";
const indicator = document.getElementById("live");
const topics = () => document.body.dataset.liveTopics?.trim().split(/\s+/) ?? [];

let socket = null;
let sequence = document.body.dataset.liveSince ?? "0";
let attempts = 0;
let retry = null;
let lastFrame = 0; // when the last frame came, 0 before the first
let behind = false; // the server says that its own picture is old
let pageSince = Date.now(); // when what is shown was last known to be true
let left = -Infinity; // when a form or a link last began to lead away from this page

function clock(moment) {
  const pad = (number) => String(number).padStart(2, "0");
  return `${pad(moment.getHours())}:${pad(moment.getMinutes())}`;
}

function tell(state, text) {
  if (indicator.dataset.state === state && indicator.lastElementChild.textContent === text) return;
  indicator.dataset.state = state;
  indicator.lastElementChild.textContent = text;
}

// What the watchers themselves say of the clusters' pictures on this page.
function tellPictures() {
  const all = document.querySelectorAll("main [data-fresh]");
  const old = document.querySelectorAll('main [data-fresh="false"]');
  const seen = [...old].map((element) => Date.parse(element.dataset.seen)).filter(Boolean);
  if (!old.length) tell("live", "Live");
  else if (old.length < all.length) tell("partly", `Live, ${old.length} of ${all.length} stale`);
  else if (seen.length) tell("stale", `Stale since ${clock(new Date(Math.min(...seen)))}`);
  else tell("stale", "Stale: never seen");
}

function show() {
  const connected = socket?.readyState === WebSocket.OPEN && lastFrame > 0;
  const heard = connected && Date.now() - lastFrame < SILENCE && !behind;
  document.body.dataset.socket = heard ? "heard" : "silent";
  if (heard) {
    pageSince = Date.now();
    tellPictures();
  } else if (Date.now() - pageSince < SILENCE) {
    tell("reconnecting", attempts > 1 || lastFrame ? "Reconnecting…" : "Connecting…");
  } else {
    tell("stale", `Stale since ${clock(new Date(pageSince))}`);
  }
}

// A part is read anew soon, but however much comes, not more often than CALM lets it.
const SOON = 300; // ms
const CALM = 2000; // ms between two readings
const ALL = "#main, #tray, #alarms"; // all of a page that is pushed
const refreshLater = new Map(); // a part's selector → its timer
const refreshed = new Map(); // a part's selector → when it was last read

function refreshSoon(selector, spread = 0) {
  if (refreshLater.has(selector)) return;
  const calm = (refreshed.get(selector) ?? 0) + CALM - Date.now();
  const wait = Math.max(SOON, calm) + Math.random() * spread;
  refreshLater.set(selector, setTimeout(async () => {
    refreshLater.delete(selector);
    refreshed.set(selector, Date.now());
    const known = await refreshPart(selector).catch(() => {}); // the next frame tries again
    if (known < Number(sequence)) refreshSoon(selector); // newer fragments came in the meantime
    show();
  }, wait));
}

function admit(strangers) {
  for (const container of document.querySelectorAll("[data-live-refresh]")) {
    const wanted = container.dataset.liveRefresh;
    if (strangers.some((stranger) => stranger.matches(wanted))) refreshSoon(`#${container.id}`);
  }
}

function take(text) {
  const end = text.indexOf("\n");
  const header = JSON.parse(end < 0 ? text : text.slice(0, end));
  const html = end < 0 ? "" : text.slice(end + 1);
  lastFrame = Date.now();
  attempts = 0;
  behind = Boolean(header.behind);
  if (html.trim()) admit(swapFragments(html));
  if (header.sequence !== undefined) sequence = header.sequence;
  if (header.reload) refreshSoon(ALL, CALM); // not all viewers at once
  show();
}

function connect() {
  clearTimeout(retry);
  retry = null;
  const address = new URL("/live/", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.searchParams.set("since", sequence);
  for (const topic of topics()) address.searchParams.append("topics", topic);
  const mine = new WebSocket(address);
  socket = mine;
  mine.addEventListener("message", (event) => mine === socket && take(event.data));
  mine.addEventListener("close", (event) => mine === socket && closed(event.code));
}

function closed(code) {
  socket = null;
  const leaving = Date.now() - left < LEAVING;
  if (code === 4401 && !leaving) {
    const back = location.pathname + location.search;
    location.assign(`${SIGN_IN}?next=${encodeURIComponent(back)}`);
  } else if (code === 4403 && !leaving) location.reload();
  else again();
  show();
}

function again() {
  attempts += 1;
  const wait = Math.min(LONGEST_WAIT, 250 * 2 ** Math.min(attempts, 7));
  retry = setTimeout(connect, wait * (0.5 + Math.random() / 2));
}

// Drops a socket that is silent, and connects at once.
function reconnect() {
  const old = socket;
  socket = null;
  old?.close();
  connect();
}

function look() {
  const silent = socket?.readyState === WebSocket.OPEN && Date.now() - lastFrame > SILENCE;
  if (silent && lastFrame) reconnect();
  show();
}

function wakeUp() {
  if (document.visibilityState !== "visible") return;
  const dead = !socket || Date.now() - lastFrame > SILENCE / 2;
  if (dead && socket?.readyState !== WebSocket.CONNECTING) reconnect();
}

if (indicator && topics().length) {
  connect();
  setInterval(look, 1000);
  document.addEventListener("pilothouse:topics", reconnect);
  window.addEventListener("beforeunload", () => (left = Date.now()));
  window.addEventListener("online", wakeUp);
  document.addEventListener("visibilitychange", wakeUp);
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  // What a person just asked for is shown even while the socket is away.
  document.addEventListener("pilothouse:done", () => {
    if (indicator.dataset.state !== "live") refreshSoon("#main");
  });
}
