// The live wall: all cameras over one WebSocket, drawn as they come. See routes/live.py for the messages.
//
// One frame of a camera is decoded at a time and two may be on their way (WINDOW), so a slow browser sees fewer
// frames, never older ones. Every decoded bitmap is closed once drawn.

const WINDOW = 2;
const STALE_AFTER_MS = 3000;
const LATENCIES_KEPT = 20000;
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 5000;

const walls = new WeakMap();

export default function (component) {
  const { data, parentElement } = component;
  let wall = walls.get(parentElement);
  if (!wall) {
    wall = new Wall(parentElement);
    walls.set(parentElement, wall);
  }
  wall.configure(data || {});
  return () => {
    wall.close();
    walls.delete(parentElement);
  };
}

function element(tag, className, parent, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function now() {
  return Date.now() / 1000; // Unix time, s, as the devices and the studio tell it
}

class Wall {
  constructor(parent) {
    this.tiles = new Map();
    this.devices = "*";
    this.closed = false;
    this.retryMs = RETRY_FIRST_MS;
    this.root = element("section", "wall", parent);
    this.root.setAttribute("aria-label", "Live cameras");
    this.notice = element("p", "notice", this.root);
    this.notice.setAttribute("role", "status");
    this.grid = element("div", "grid", this.root);
    this.onVisibility = () => this.subscribe();
    document.addEventListener("visibilitychange", this.onVisibility);
    this.onKey = (event) => {
      if (event.key === "Escape") this.enlarge(null);
    };
    this.root.addEventListener("keydown", this.onKey);
    this.timer = setInterval(() => this.tick(), 500);
    this.say("Connecting to the studio…");
  }

  configure(data) {
    this.devices = data.devices && data.devices.length ? data.devices : "*";
    this.root.classList.toggle("kiosk", Boolean(data.kiosk));
    if (this.devices !== "*") {
      for (const name of [...this.tiles.keys()]) if (!this.devices.includes(name)) this.remove(name);
      for (const name of this.devices) this.tile(name);
    }
    if (this.socket) this.subscribe();
    else this.connect();
  }

  connect() {
    if (this.closed) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/live`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.retryMs = RETRY_FIRST_MS;
      this.root.dataset.connection = "open";
      this.say("");
      this.subscribe();
    };
    socket.onmessage = (event) => {
      if (typeof event.data === "string") this.states(JSON.parse(event.data).devices || []);
      else this.frame(event.data);
    };
    socket.onclose = () => {
      if (this.closed) return;
      this.root.dataset.connection = "lost";
      this.say("The connection to the studio is lost. Trying again…");
      // Jitter, so that many walls do not come back in one instant.
      setTimeout(() => this.connect(), this.retryMs * (0.5 + Math.random() / 2));
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MOST_MS);
    };
    this.socket = socket;
  }

  // A hidden page asks for nothing: its cameras need not send.
  subscribe() {
    const devices = document.hidden ? [] : this.devices;
    this.send({ devices, window: WINDOW });
  }

  send(message) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  states(list) {
    for (const state of list) {
      if (this.devices !== "*" && !this.devices.includes(state.device)) continue;
      this.tile(state.device).setState(state);
    }
    if (this.devices === "*" && list.length === 0) this.say("No camera has reported to this studio yet.");
    else if (this.root.dataset.connection === "open") this.say("");
  }

  frame(buffer) {
    const headerBytes = new DataView(buffer).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerBytes)));
    const jpeg = new Blob([new Uint8Array(buffer, 4 + headerBytes)], { type: "image/jpeg" });
    createImageBitmap(jpeg)
      .then((bitmap) => {
        if (!this.closed) this.tile(header.device).draw(bitmap, header);
        bitmap.close();
      })
      .catch(() => this.tile(header.device).damaged())
      .finally(() => this.send({ ack: header.device }));
  }

  tile(name) {
    let tile = this.tiles.get(name);
    if (!tile) {
      tile = new Tile(name, this);
      this.tiles.set(name, tile);
      this.arrange();
    }
    return tile;
  }

  remove(name) {
    this.tiles.get(name).figure.remove();
    this.tiles.delete(name);
    this.arrange();
  }

  arrange() {
    const sorted = [...this.tiles.keys()].sort();
    for (const name of sorted) this.grid.appendChild(this.tiles.get(name).figure);
    this.grid.dataset.count = String(sorted.length);
    this.grid.style.setProperty("--columns", String(Math.ceil(Math.sqrt(sorted.length || 1))));
  }

  enlarge(tile) {
    for (const other of this.tiles.values()) other.figure.classList.toggle("large", other === tile);
    this.grid.classList.toggle("one", tile !== null);
  }

  tick() {
    for (const tile of this.tiles.values()) tile.tick();
  }

  say(text) {
    if (this.notice.textContent !== text) this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.onVisibility);
    if (this.socket) this.socket.close();
    this.root.remove();
  }
}

class Tile {
  constructor(name, wall) {
    this.name = name;
    this.arrivals = [];
    this.lastAt = 0;
    this.state = null;
    this.figure = element("figure", "tile");
    this.figure.dataset.device = name;
    this.figure.tabIndex = 0;
    this.figure.setAttribute("role", "group");
    this.canvas = element("canvas", "picture", this.figure);
    this.canvas.setAttribute("role", "img");
    this.context = this.canvas.getContext("2d", { alpha: false });
    const top = element("div", "bar top", this.figure);
    this.dot = element("span", "dot", top);
    this.title = element("span", "name", top, name);
    this.rates = element("span", "rates", top);
    this.message = element("p", "message", this.figure, "No frames yet");
    this.caption = element("figcaption", "bar bottom", this.figure);
    this.label = element("span", "label", this.caption);
    const side = element("span", "side", this.caption);
    this.score = element("span", "score", side);
    const track = element("span", "track", side);
    this.fill = element("span", "fill", track);
    this.verdict = element("span", "verdict", this.caption);
    const toggle = () => wall.enlarge(this.figure.classList.contains("large") ? null : this);
    this.figure.addEventListener("dblclick", toggle);
    this.figure.addEventListener("keydown", (event) => {
      if (event.key === "Enter") toggle();
    });
    this.tick();
  }

  // Picture and words change in the same paint, so they always belong together.
  draw(bitmap, header) {
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.context.drawImage(bitmap, 0, 0);
    this.lastAt = performance.now();
    this.arrivals.push(this.lastAt);
    this.show(header.result);
    requestAnimationFrame(() => this.measure(header));
  }

  show(result) {
    if (!result) return;
    const best = result.predictions[0];
    const data = this.figure.dataset;
    this.label.textContent = best ? best.label : "no class";
    this.score.textContent = best ? `${(best.score * 100).toFixed(best.score > 0.995 ? 0 : 1)} %` : "";
    this.fill.style.width = best ? `${Math.round(best.score * 100)}%` : "0";
    data.frame = String(result.frame);
    data.label = best ? best.label : "";
    data.latency = String(result.latency_ms);
    if (result.expected === null || result.expected === undefined) {
      delete data.expected;
      delete data.verdict;
      this.verdict.textContent = "";
      return;
    }
    data.expected = result.expected;
    data.verdict = best && best.label === result.expected ? "right" : "wrong";
    this.verdict.textContent = data.verdict === "right" ? "✓ as expected" : `✗ expected ${result.expected}`;
  }

  // In the frame after drawing, the picture is on its way to the screen.
  measure(header) {
    const kept = (window.__slimcastLatencies = window.__slimcastLatencies || []);
    const result = header.result || {};
    kept.push({
      device: header.device,
      frame: result.frame,
      captured_at: result.captured_at,
      classified_at: result.classified_at,
      received_at: header.received_at,
      sent_at: header.sent_at,
      shown_at: now(),
    });
    if (kept.length > LATENCIES_KEPT) kept.splice(0, kept.length - LATENCIES_KEPT);
  }

  damaged() {
    this.figure.dataset.damaged = String(Number(this.figure.dataset.damaged || 0) + 1);
  }

  setState(state) {
    this.state = state;
    this.tick();
  }

  // Twice a second: what need not be exact to the frame.
  tick() {
    const at = performance.now();
    this.arrivals = this.arrivals.filter((time) => at - time < 2000);
    const fps = this.arrivals.length / 2;
    const offline = this.state !== null && !this.state.online;
    const stale = this.lastAt > 0 && at - this.lastAt > STALE_AFTER_MS;
    const condition = offline ? "offline" : this.lastAt === 0 ? "waiting" : stale ? "stalled" : "live";
    const latency = this.figure.dataset.latency ? `${Number(this.figure.dataset.latency).toFixed(1)} ms` : "";
    this.figure.dataset.condition = condition;
    this.rates.textContent = condition === "live" ? `${fps.toFixed(0)} fps · ${latency}` : "";
    this.rates.title = "Frames shown each second · preprocessing and inference on the device";
    const words = {
      offline: "Offline",
      waiting: "No frames yet",
      stalled: `No frame for ${Math.round((at - this.lastAt) / 1000)} s`,
      live: "",
    };
    this.message.textContent = words[condition];
    this.message.hidden = condition === "live";
    const model = this.state && this.state.model ? this.state.model : "";
    this.title.textContent = this.name;
    this.title.title = model;
    const label = condition === "live" ? `shows ${this.label.textContent}, ${this.score.textContent}` : words[condition];
    this.canvas.setAttribute("aria-label", `Camera ${this.name}: ${label}`);
    this.figure.setAttribute("aria-label", `Camera ${this.name}. Enter enlarges, Escape goes back.`);
  }
}
