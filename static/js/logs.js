// Logs of a service or a task, live. Lines are text alone: they are never read as HTML.
//
// A frame: {"lines": [{"at", "task", "task_id", "node", "stream", "text"}], "notices": [{"node", "task", "text"}]}
const MOST_LINES = 5000; // in the page; the oldest go first
const MOST_WAITING = 20_000; // while paused
const root = document.getElementById("logs");
const part = (name) => root.querySelector(`[data-${name}]`);

// A stable hue per task and node, so that the eye finds it again; the tag beside it is what tells.
function hue(text) {
  let hash = 0;
  for (const letter of text) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return hash % 360;
}

class Logs {
  constructor() {
    this.lines = part("lines");
    this.waiting = [];
    this.kept = []; // what is shown, as data: for search and download
    this.paused = false;
    this.following = true;
    this.attempts = 0;
    this.lastAt = "";
    this.needle = "";
    this.pending = [];
    this.listen();
    this.connect();
  }

  listen() {
    part("pause").addEventListener("click", () => this.pause(!this.paused));
    part("clear").addEventListener("click", () => this.clear());
    part("download").addEventListener("click", () => this.download());
    part("follow").addEventListener("click", () => this.follow());
    part("find").addEventListener("input", () => this.search());
    part("only").addEventListener("change", () => this.search());
    part("wrap").addEventListener("change", (event) => this.lines.classList.toggle("wrap", event.target.checked));
    for (const name of ["since", "task-filter"]) part(name).addEventListener("change", () => this.restart());
    this.lines.addEventListener("scroll", () => this.scrolled());
  }

  address() {
    const address = new URL(root.dataset.logs, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const since = part("since").value;
    const away = this.lastAt ? Math.max(1, Math.ceil((Date.now() - Date.parse(this.lastAt)) / 1000)) : 0;
    if (away) address.searchParams.set("since", away);
    else if (since) address.searchParams.set("since", since);
    address.searchParams.set("tail", since || away ? "2000" : "200");
    if (part("task-filter").value) address.searchParams.set("task", part("task-filter").value);
    return address;
  }

  connect() {
    const socket = new WebSocket(this.address());
    this.socket = socket;
    this.tell(this.attempts ? "Reconnecting…" : "Connecting…");
    socket.addEventListener("open", () => { this.attempts = 0; this.tell(); });
    socket.addEventListener("message", (event) => socket === this.socket && this.take(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => socket === this.socket && this.closed(event.code));
  }

  closed(code) {
    if (code === 4401) location.assign(`/sign-in/?next=${encodeURIComponent(location.pathname)}`);
    if (code === 4403 || code === 4404) return this.tell(code === 4403 ? "You may no longer read these logs" : "The service is gone");
    this.attempts += 1;
    this.tell("Reconnecting…");
    setTimeout(() => this.connect(), Math.min(15_000, 500 * 2 ** Math.min(this.attempts, 5)) * (0.5 + Math.random() / 2));
    return undefined;
  }

  restart() {
    const old = this.socket;
    this.socket = null;
    old.close();
    this.clear();
    part("notices").replaceChildren();
    this.lastAt = "";
    this.connect();
  }

  take({ lines = [], notices = [] }) {
    this.notice(notices);
    const fresh = this.lastAt ? lines.filter((line) => !this.seen(line)) : lines;
    for (const line of fresh) if (line.at > this.lastAt) this.lastAt = line.at;
    if (this.paused) {
      this.waiting.push(...fresh);
      if (this.waiting.length > MOST_WAITING) this.waiting.splice(0, this.waiting.length - MOST_WAITING);
      this.tell();
    } else this.add(fresh);
  }

  // After a reconnect the server sends some lines again.
  seen(line) {
    if (line.at > this.lastAt) return false;
    const known = this.paused ? [...this.kept.slice(-500), ...this.waiting] : this.kept.slice(-500);
    return known.some((other) => other.at === line.at && other.task_id === line.task_id && other.text === line.text);
  }

  notice(notices) {
    for (const { node, task, text } of notices) {
      const key = `${node ?? ""}/${task ?? ""}`;
      const list = part("notices");
      const old = [...list.children].find((item) => item.dataset.key === key);
      if (!text) { old?.remove(); continue; }
      const item = old ?? document.createElement("li");
      item.dataset.key = key;
      item.textContent = `⚠ ${text}`;
      if (!old) list.append(item);
    }
  }

  // Lines are put into the page once per frame, however many frames come.
  add(lines) {
    if (!lines.length) return;
    this.pending.push(...lines);
    if (this.pending.length > MOST_LINES) this.pending.splice(0, this.pending.length - MOST_LINES);
    if (!this.drawing) {
      this.drawing = true;
      requestAnimationFrame(() => this.draw());
    }
  }

  draw() {
    this.drawing = false;
    const lines = this.pending;
    this.pending = [];
    const rows = document.createDocumentFragment();
    for (const line of lines) rows.append(this.row(line));
    this.lines.append(rows);
    this.kept.push(...lines);
    const over = this.kept.length - MOST_LINES;
    if (over > 0) {
      this.kept.splice(0, over);
      for (let i = 0; i < over; i += 1) this.lines.firstElementChild.remove();
    }
    if (this.following) this.lines.scrollTop = this.lines.scrollHeight;
    this.tell();
  }

  row(line) {
    const row = document.createElement("div");
    row.className = `log-line log-${line.stream === "stderr" ? "stderr" : "stdout"}`;
    row.style.setProperty("--angle", hue(line.task + line.node));
    const time = document.createElement("time");
    time.dateTime = line.at;
    time.title = line.at;
    time.dataset.exact = "";
    time.textContent = line.at.slice(11, 23);
    const tag = document.createElement("span");
    tag.className = "log-tag";
    tag.textContent = `${line.task} ${line.node}`;
    tag.title = `${line.task} on ${line.node} (${line.task_id})`;
    const text = document.createElement("span");
    text.className = "log-text";
    row.append(time, tag, text);
    this.mark(row, line);
    return row;
  }

  // Highlights what was searched for, and hides what does not match if only matches are wanted.
  mark(row, line) {
    const text = row.lastElementChild;
    const found = this.needle ? line.text.toLowerCase().split(this.needle) : [line.text];
    text.replaceChildren();
    let at = 0;
    found.forEach((piece, number) => {
      if (number) {
        const mark = document.createElement("mark");
        mark.textContent = line.text.slice(at, at + this.needle.length);
        text.append(mark);
        at += this.needle.length;
      }
      text.append(line.text.slice(at, at + piece.length));
      at += piece.length;
    });
    const tag = `${line.task} ${line.node}`.toLowerCase();
    const matches = !this.needle || found.length > 1 || tag.includes(this.needle);
    row.hidden = part("only").checked && !matches;
  }

  search() {
    this.needle = part("find").value.toLowerCase();
    [...this.lines.children].forEach((row, number) => this.mark(row, this.kept[number]));
    this.tell();
  }

  pause(paused) {
    this.paused = paused;
    const button = part("pause");
    button.setAttribute("aria-pressed", String(paused));
    button.querySelector("span").textContent = paused ? "Resume" : "Pause";
    if (!paused) {
      this.add(this.waiting);
      this.waiting = [];
    }
    this.tell();
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.lines;
    this.following = scrollHeight - scrollTop - clientHeight < 24;
    part("follow").hidden = this.following;
  }

  follow() {
    this.lines.scrollTop = this.lines.scrollHeight;
    this.lines.focus();
  }

  clear() {
    this.lines.replaceChildren();
    this.kept = [];
    this.waiting = [];
    this.pending = [];
    this.tell();
  }

  tell(state) {
    const shown = this.kept.length;
    let text = state ?? (shown ? `${shown} lines` : "Waiting for lines…");
    if (this.paused) text = `Paused, ${this.waiting.length} waiting`;
    part("state-text").textContent = text;
  }

  download() {
    const text = this.kept.map((l) => `${l.at} ${l.task} ${l.node} ${l.stream} ${l.text}\n`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(text, { type: "text/plain" }));
    link.download = `${root.dataset.name}.log`;
    link.click();
    URL.revokeObjectURL(link.href);
  }
}

if (root) new Logs();
