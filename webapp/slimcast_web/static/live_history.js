// What a camera has shown in the last minutes: a strip of colours over time, and how often each label came.
//
// It counts the frames that this browser has drawn. It is bounded: old spans go, and so do the oldest of too many.

const HISTORY_MS = 180000;
const MOST_SPANS = 600;
const JOINED_MS = 2000; // a longer silence leaves a gap in the strip
const COUNTS_SHOWN = 4;
const MOST_MARKS = 2000;

// Okabe and Ito's palette without its black and its blue, which is too dark on the stage; white in their place.
const LABEL_COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7", "#FFFFFF"];
const OTHER_LABELS = "#7A8A8C";

// One label has one colour on all tiles of a wall. A colour goes to another label once nothing shows it any more.
class LabelColours {
  constructor() {
    this.taken = new Map(); // label -> { colour, usedAt }
  }

  of(label, at) {
    let entry = this.taken.get(label);
    if (!entry) {
      const colour = this.free(at);
      if (!colour) return OTHER_LABELS;
      entry = { colour };
      this.taken.set(label, entry);
    }
    entry.usedAt = at;
    return entry.colour;
  }

  free(at) {
    for (const [label, entry] of this.taken) if (at - entry.usedAt > JOINED_MS) this.taken.delete(label);
    const used = new Set([...this.taken.values()].map((entry) => entry.colour));
    return LABEL_COLOURS.find((colour) => !used.has(colour));
  }
}

class History {
  constructor(parent, colours) {
    this.colours = colours;
    this.spans = []; // { label, from, to, frames }, oldest first
    this.marks = []; // when two models differed, oldest first
    this.shown = "";
    this.root = element("div", "history", parent);
    this.counts = element("span", "counts", this.root);
    this.strip = element("canvas", "strip", this.root);
    this.strip.setAttribute("role", "img");
    this.strip.addEventListener("pointermove", (event) => this.explain(event));
  }

  add(label, at) {
    const last = this.spans[this.spans.length - 1];
    const joined = last && at - last.to < JOINED_MS;
    if (joined) last.to = at;
    if (joined && last.label === label) last.frames += 1;
    else this.spans.push({ label, from: at, to: at, frames: 1 });
    if (this.spans.length > MOST_SPANS) this.spans.shift();
  }

  // A moment at which two models differed.
  mark(at) {
    this.marks.push(at);
    if (this.marks.length > MOST_MARKS) this.marks.shift();
  }

  // Twice a second, also without new frames: time goes on.
  draw(at) {
    while (this.spans.length && at - this.spans[0].to > HISTORY_MS) this.spans.shift();
    this.root.hidden = this.spans.length === 0;
    if (this.root.hidden) return;
    this.count(at);
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.strip.clientWidth * scale);
    const height = Math.round(this.strip.clientHeight * scale);
    if (this.strip.width !== width) this.strip.width = width;
    if (this.strip.height !== height) this.strip.height = height;
    const context = this.strip.getContext("2d");
    context.clearRect(0, 0, width, height);
    for (const span of this.spans) {
      const from = Math.max(0, width * (1 - (at - span.from) / HISTORY_MS));
      const to = width * (1 - (at - span.to) / HISTORY_MS);
      context.fillStyle = this.colours.of(span.label, at);
      context.fillRect(from, 0, Math.max(1, to - from), height);
    }
    this.drawMarks(context, at, width, height);
  }

  // Black with a light edge, so that they stand out from any label's colour; the upper half stays the label's.
  drawMarks(context, at, width, height) {
    while (this.marks.length && at - this.marks[0] > HISTORY_MS) this.marks.shift();
    for (const time of this.marks) {
      const x = Math.round(width * (1 - (at - time) / HISTORY_MS));
      context.fillStyle = "#FFFFFF";
      context.fillRect(x - 2, height / 2, 4, height / 2);
      context.fillStyle = "#000000";
      context.fillRect(x - 1, height / 2, 2, height / 2);
    }
  }

  totals() {
    const totals = new Map();
    for (const span of this.spans) totals.set(span.label, (totals.get(span.label) || 0) + span.frames);
    return [...totals].sort((a, b) => b[1] - a[1]);
  }

  count(at) {
    const totals = this.totals();
    const told = totals.slice(0, COUNTS_SHOWN).map(([label, frames]) => [label, frames, this.colours.of(label, at)]);
    const text = JSON.stringify(told);
    if (text === this.shown) return;
    this.shown = text;
    this.counts.replaceChildren();
    for (const [label, frames, colour] of told) {
      const item = element("span", "count", this.counts);
      element("i", "swatch", item).style.background = colour;
      element("span", "what", item, label);
      element("span", "times", item, String(frames));
    }
    const rest = totals.length - told.length;
    if (rest > 0) element("span", "count", this.counts, `and ${rest} more`);
    const words = totals.slice(0, 10).map(([label, frames]) => `${label} ${frames}`);
    this.strip.setAttribute("aria-label", `Frames of the last three minutes by label: ${words.join(", ")}`);
  }

  explain(event) {
    const box = this.strip.getBoundingClientRect();
    const ago = HISTORY_MS * (1 - (event.clientX - box.left) / Math.max(1, box.width));
    const at = performance.now() - ago;
    const span = this.spans.find((found) => found.from <= at && at <= found.to);
    const label = span ? span.label : "no frame shown here";
    this.strip.title = `${Math.round(ago / 1000)} s ago: ${label}`;
  }
}
