// The live wall: all cameras over one WebSocket, drawn as they come. See routes/live.py for the messages.
//
// One frame of a camera is decoded at a time and two may be on their way (WINDOW), so a slow browser sees fewer
// frames, never older ones. Every decoded bitmap is closed once drawn.

const WINDOW = 2;
const SILENT_AFTER_MS = 8000;
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

class Wall {
  constructor(parent) {
    this.tiles = new Map();
    this.colours = new LabelColours();
    this.devices = "*";
    this.several = new Set(); // devices with several cameras: each of those is a tile, named device/camera
    this.compare = {}; // device -> { artifact, name }: a second model beside its own
    this.allPaused = false;
    this.closed = false;
    this.heardAt = 0;
    this.retryMs = RETRY_FIRST_MS;
    this.root = element("section", "wall", parent);
    this.root.setAttribute("aria-label", "Live cameras");
    this.notice = element("p", "notice", this.root);
    this.notice.setAttribute("role", "status");
    const tools = element("div", "wall-tools", this.root);
    this.pauseAll = button("Pause all", "pause", tools, () => this.setAllPaused(!this.allPaused));
    this.pauseAll.append("Pause all");
    this.grid = element("div", "grid", this.root);
    this.onVisibility = () => this.subscribe();
    document.addEventListener("visibilitychange", this.onVisibility);
    this.onKey = (event) => {
      if (event.key !== "Escape") return;
      this.enlarge(null);
      if (document.fullscreenElement) document.exitFullscreen(); // where the browser does not do it by itself
    };
    this.root.addEventListener("keydown", this.onKey);
    this.timer = setInterval(() => this.tick(), 500);
    this.say("Connecting to the studio…");
  }

  configure(data) {
    this.devices = data.devices && data.devices.length ? data.devices : "*";
    this.compare = data.compare || {};
    for (const [name, tile] of this.tiles) tile.comparison.ask(this.compared(name));
    this.root.classList.toggle("kiosk", Boolean(data.kiosk));
    if (this.devices !== "*") {
      const wanted = (name) => this.devices.includes(name) || this.devices.includes(name.split("/")[0]);
      for (const name of [...this.tiles.keys()]) if (!wanted(name)) this.remove(name);
      for (const name of this.devices) if (!this.several.has(name)) this.tile(name);
    }
    if (this.socket) this.subscribe();
    else this.connect();
  }

  connect() {
    if (this.closed) return;
    this.heardAt = performance.now();
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
      this.heardAt = performance.now();
      if (typeof event.data === "string") this.told(JSON.parse(event.data));
      else this.frame(event.data);
    };
    socket.onclose = () => {
      if (this.closed || socket !== this.socket) return;
      this.socket = null;
      this.root.dataset.connection = "lost";
      this.say("The connection to the studio is lost. Trying again…");
      // Jitter, so that many walls do not come back in one instant.
      setTimeout(() => this.connect(), this.retryMs * (0.5 + Math.random() / 2));
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MOST_MS);
    };
    this.socket = socket;
  }

  // A studio whose machine has vanished says no goodbye; it is silent, though it should speak once a second.
  checkSilence() {
    if (!this.socket || performance.now() - this.heardAt < SILENT_AFTER_MS) return;
    const dead = this.socket;
    dead.onclose();
    dead.onopen = dead.onmessage = null;
    dead.close();
  }

  // A hidden page asks for nothing, nor for frames of what is paused: those cameras need not send. What is
  // compared goes on meanwhile, since the picture is often held to look at it.
  subscribe() {
    const devices = document.hidden || this.allPaused ? [] : this.devices;
    const paused = [...this.tiles.values()].filter((tile) => tile.paused).map((tile) => tile.name);
    this.send({ devices, paused, window: WINDOW, compare: document.hidden ? {} : this.compare });
  }

  setAllPaused(paused) {
    this.allPaused = paused;
    for (const tile of this.tiles.values()) tile.setPaused(paused);
    this.showPaused();
  }

  // One that goes on ends "all paused"; the others stay as they are.
  setPaused(tile, paused) {
    tile.setPaused(paused);
    if (!paused) this.allPaused = false;
    this.showPaused();
  }

  showPaused() {
    const words = this.allPaused ? "Resume all" : "Pause all";
    face(this.pauseAll, words, this.allPaused ? "play" : "pause");
    this.pauseAll.append(words);
    this.subscribe();
  }

  // A device compares for all of its cameras; their tiles are named device/camera.
  compared(name) {
    return this.compare[name.split("/")[0]] || null;
  }

  compareAgain(name) {
    const { [name.split("/")[0]]: _, ...others } = this.compare;
    this.send({ compare: others });
    this.subscribe();
  }

  takePicture(name) {
    return this.send({ picture: name });
  }

  send(message) {
    const open = Boolean(this.socket) && this.socket.readyState === WebSocket.OPEN;
    if (open) this.socket.send(JSON.stringify(message));
    return open;
  }

  told(message) {
    if (message.devices) this.states(message.devices);
    const compared = message.compare || {};
    for (const [name, tile] of this.tiles) tile.comparison.told(compared[name.split("/")[0]], tile.state);
    const picture = message.picture;
    if (picture && this.tiles.has(picture.device)) this.tiles.get(picture.device).pictureCame(picture);
  }

  states(list) {
    for (const state of list) {
      // The name of a device with several cameras stands for all of them.
      if (state.of !== state.device) this.several.add(state.of);
      if (this.devices !== "*" && !this.devices.includes(state.device) && !this.devices.includes(state.of)) continue;
      this.tile(state.device).setState(state);
    }
    for (const name of this.several) if (this.tiles.has(name)) this.remove(name);
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
      if (this.allPaused) tile.setPaused(true);
      tile.comparison.ask(this.compared(name));
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
    this.checkSilence();
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
    this.socket = null;
    this.root.remove();
  }
}
