// Keeps relative times current. The server writes them in the same words (templatetags/moments.py).
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function ago(moment) {
  const seconds = Math.round((Date.now() - moment) / 1000);
  const size = Math.abs(seconds);
  if (size < 1) return "now";
  const [length, unit] = UNITS.find(([length]) => size >= length);
  const text = `${Math.floor(size / length)} ${unit}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

export function refreshTimes(root = document) {
  for (const time of root.querySelectorAll("time:not([data-exact])")) {
    const told = ago(Date.parse(time.dateTime));
    const text = "for" in time.dataset ? told.replace(/ ago$/, "") : told;
    if (time.textContent !== text) time.textContent = text;
  }
}

setInterval(() => refreshTimes(), 1000);
