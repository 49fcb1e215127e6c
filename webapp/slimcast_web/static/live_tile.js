// One camera of the wall: its picture on a canvas; label, score, rates and history as text over it.

const STALE_AFTER_MS = 3000;
const LATENCIES_KEPT = 20000;
const PICTURE_WAIT_MS = 25000; // the studio gives up before
const PICTURE_SHOWN_MS = 30000;

class Tile {
  constructor(name, wall) {
    this.name = name;
    this.wall = wall;
    this.arrivals = [];
    this.lastAt = 0;
    this.state = null;
    this.paused = false;
    this.figure = element("figure", "tile");
    this.figure.dataset.device = name;
    this.figure.tabIndex = 0;
    this.figure.setAttribute("role", "group");
    this.canvas = element("canvas", "picture", this.figure);
    this.canvas.setAttribute("role", "img");
    this.context = this.canvas.getContext("2d", { alpha: false });
    const top = element("div", "bar top", this.figure);
    element("span", "dot", top);
    this.title = element("span", "name", top, name);
    this.rates = element("span", "rates", top);
    this.message = element("p", "message", this.figure, "No frames yet");
    this.buildFoot();
    this.buildTools();
    this.figure.addEventListener("dblclick", () => this.toggleLarge());
    this.figure.addEventListener("keydown", (event) => this.pressed(event));
    this.tick();
  }

  buildFoot() {
    const foot = element("div", "foot", this.figure);
    this.note = element("div", "note", foot);
    this.note.setAttribute("role", "status");
    const caption = element("figcaption", "answer", foot);
    this.label = element("span", "label", caption);
    const side = element("span", "side", caption);
    this.score = element("span", "score", side);
    this.fill = element("span", "fill", element("span", "track", side));
    this.verdict = element("span", "verdict", caption);
    this.comparison = new Comparison(this, foot);
    this.history = new History(foot, this.wall.colours);
  }

  buildTools() {
    const tools = element("div", "tools", this.figure);
    this.pauseButton = button("", "pause", tools, () => this.wall.setPaused(this, !this.paused));
    this.pictureButton = button(`Take a picture with ${this.name}`, "camera", tools, () => this.takePicture());
    button(`Full screen: ${this.name}`, "full", tools, () => this.toggleLarge());
    this.setPaused(false);
  }

  pressed(event) {
    if (event.target !== this.figure) return; // a button on it has its own keys
    if (event.key === "Enter") this.toggleLarge();
    else if (event.key === " ") this.wall.setPaused(this, !this.paused);
    else return;
    event.preventDefault();
  }

  // The screen where the browser gives it; else, as on some telephones, the whole of the wall.
  toggleLarge() {
    if (this.figure.matches(":fullscreen")) document.exitFullscreen();
    else if (this.figure.classList.contains("large")) this.wall.enlarge(null);
    else if (!this.figure.requestFullscreen) this.wall.enlarge(this);
    else this.figure.requestFullscreen().catch(() => this.wall.enlarge(this));
  }

  setPaused(paused) {
    this.paused = paused;
    this.lastAt = 0;
    this.arrivals = [];
    face(this.pauseButton, `${paused ? "Resume" : "Pause"} ${this.name}`, paused ? "play" : "pause");
    this.tick();
  }

  takePicture() {
    if (this.pictureButton.getAttribute("aria-disabled") === "true") return;
    if (!this.wall.takePicture(this.name)) return this.say("The studio is away: no picture was taken.");
    this.setTaking(true);
    this.say("Taking a picture…", PICTURE_WAIT_MS);
  }

  // Not `disabled`: a button that is takes the focus away from whoever has just pressed it.
  setTaking(taking) {
    this.pictureButton.setAttribute("aria-disabled", String(taking));
  }

  pictureCame(picture) {
    this.setTaking(false);
    this.say(picture.error, PICTURE_SHOWN_MS);
    if (picture.error) return;
    const shown = link("shown", this.note, picture.address);
    element("img", "", shown).src = picture.address;
    shown.firstChild.alt = `Picture that ${this.name} has just taken`;
    link("save", this.note, `${picture.address}?download=1`, "Save the picture");
  }

  say(text, forMs = PICTURE_SHOWN_MS) {
    this.note.replaceChildren();
    if (text) element("span", "words", this.note, text);
    clearTimeout(this.noteTimer);
    this.noteTimer = setTimeout(() => {
      this.setTaking(false);
      this.note.replaceChildren();
    }, forMs);
  }

  // Picture and words change in the same paint, so they always belong together.
  draw(bitmap, header) {
    if (this.paused) return; // it was on its way
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
    if (best) this.history.add(best.label, this.lastAt);
    if (this.comparison.show(result)) this.history.mark(this.lastAt);
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
      shown_at: Date.now() / 1000, // Unix time, s, as the devices and the studio tell it
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

  condition(at) {
    if (this.paused) return "paused";
    if (this.state !== null && !this.state.online) return "offline";
    if (this.lastAt === 0) return "waiting";
    return at - this.lastAt > STALE_AFTER_MS ? "stalled" : "live";
  }

  // Twice a second: what need not be exact to the frame.
  tick() {
    const at = performance.now();
    this.arrivals = this.arrivals.filter((time) => at - time < 2000);
    const condition = this.condition(at);
    const live = condition === "live";
    const latency = this.figure.dataset.latency ? `${Number(this.figure.dataset.latency).toFixed(1)} ms` : "";
    this.figure.dataset.condition = condition;
    this.rates.textContent = live ? `${(this.arrivals.length / 2).toFixed(0)} fps · ${latency}` : "";
    this.rates.title = "Frames shown each second · preprocessing and inference on the device";
    const trouble = this.state ? this.state.trouble : "";
    const words = {
      offline: "Offline",
      waiting: !this.state ? "Not heard of yet" : this.state.model ? trouble || "No frames yet" : "It has no model yet",
      stalled: trouble || `No frame for ${Math.round((at - this.lastAt) / 1000)} s`,
      paused: "Paused",
      live: "",
    };
    this.message.textContent = words[condition];
    this.message.hidden = live;
    this.title.title = this.state && this.state.model ? this.state.model : "";
    this.history.draw(at);
    this.comparison.tick(at);
    const label = live ? `shows ${this.label.textContent}, ${this.score.textContent}` : words[condition];
    this.canvas.setAttribute("aria-label", `Camera ${this.name}: ${label}`);
    const keys = "Enter: full screen, Escape goes back. Space: pause.";
    this.figure.setAttribute("aria-label", `Camera ${this.name}. ${keys}`);
  }
}
