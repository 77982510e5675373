// The wall: a clock that shows that the page lives, and full screen by "f".
import "./glance.js";
import "./live.js";
import "./times.js";

const clock = document.getElementById("wall-clock");
const live = document.getElementById("live");
const since = document.getElementById("wall-dead-since");

function tick() {
  const now = new Date();
  clock.textContent = now.toLocaleTimeString("en-GB");
  clock.dateTime = now.toISOString();
  since.textContent = live.textContent.trim();
}

tick();
setInterval(tick, 500);
document.addEventListener("keydown", (event) => {
  if (event.key !== "f" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch(() => {});
});
