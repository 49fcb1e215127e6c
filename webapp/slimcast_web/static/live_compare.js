// Two models on one camera: what both say of the same frame, and how often they agree on all of the device's frames.

const SIDES = ["A", "B"];
const DIFFERED_MS = 1500;

class Comparison {
  constructor(tile, parent) {
    this.tile = tile;
    this.second = null; // { artifact, name }, what the page asks for
    this.differedAt = -DIFFERED_MS;
    this.root = element("div", "compare", parent);
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", `Two models on ${tile.name}`);
    this.grid = element("div", "sides", this.root);
    this.rows = SIDES.map((letter) => this.row(letter));
    const foot = element("div", "sum", this.root);
    this.mark = element("span", "mark", foot);
    this.words = element("span", "totals", foot);
    this.words.setAttribute("role", "status");
    this.again = element("button", "again", foot, "Try again");
    this.again.type = "button";
    this.again.addEventListener("click", () => tile.wall.compareAgain(tile.name));
    this.ask(null);
  }

  row(letter) {
    const row = {};
    element("span", "letter", this.grid, letter);
    row.model = element("span", "model", this.grid);
    row.label = element("span", "said", this.grid);
    row.right = element("span", "right", this.grid);
    row.score = element("span", "number", this.grid);
    row.latency = element("span", "number", this.grid);
    return row;
  }

  // What the page asks for; null: one model is enough.
  ask(second) {
    if (second && this.second && second.artifact === this.second.artifact) return;
    this.second = second;
    this.forget();
    this.root.hidden = !second;
    if (second) this.say(`Asking ${this.tile.name} to run ${second.name} as well…`);
  }

  forget() {
    this.showBoth(false);
    this.again.hidden = true;
    for (const name of ["agree", "secondLabel", "secondLatency", "comparing"]) delete this.tile.figure.dataset[name];
  }

  // Both answers, or the one that a tile always has.
  showBoth(both) {
    this.grid.hidden = !both;
    this.tile.figure.classList.toggle("compared", both);
    if (both) return;
    this.mark.textContent = "";
    this.differedAt = -DIFFERED_MS;
    this.tick(0);
  }

  // Twice a second: the frame of the tile says for a while that they differed, since nothing large may flicker.
  tick(at) {
    this.tile.figure.classList.toggle("differing", at - this.differedAt < DIFFERED_MS);
  }

  // A frame; returns whether both models have answered it, and differently.
  show(result) {
    const second = result.second;
    if (!this.second || !second || second.artifact !== this.second.artifact) return false;
    const labels = [result, second].map((answer, side) => this.fill(this.rows[side], answer, result.expected));
    this.rows[1].model.textContent = this.second.name;
    const agree = labels[0] === labels[1];
    this.showBoth(true);
    if (!agree) this.differedAt = this.tile.lastAt;
    this.mark.textContent = agree ? "= agree" : "≠ differ";
    const data = this.tile.figure.dataset;
    data.agree = agree ? "yes" : "no";
    data.secondLabel = labels[1];
    data.secondLatency = String(second.latency_ms);
    return !agree;
  }

  fill(row, answer, expected) {
    const best = answer.predictions[0];
    const known = expected !== null && expected !== undefined;
    row.label.textContent = best ? best.label : "no class";
    row.score.textContent = best ? `${(best.score * 100).toFixed(1)} %` : "";
    row.latency.textContent = `${milliseconds(answer.latency_ms)} ms`;
    row.right.textContent = !known ? "" : best && best.label === expected ? "✓" : "✗";
    return best ? best.label : "";
  }

  // Once a second: how the comparison stands.
  told(state, device) {
    if (!this.second || !state) return;
    this.rows[0].model.textContent = (device && device.model) || "its own model";
    this.tile.figure.dataset.comparing = state.state;
    this.again.hidden = state.state !== "ended";
    if (state.state === "ended") this.showBoth(false);
    this.say(state.message || this.stage(state) || totals(state));
  }

  stage(state) {
    const name = this.tile.name;
    if (state.state === "asked") return `Asking ${name} to run ${state.name} as well…`;
    if (state.state === "fetching") return `${name} fetches ${state.name}: ${Math.round(state.progress * 100)} %`;
    if (state.state === "trying") return `${name} tries ${state.name}…`;
    if (state.state === "ended") return "The comparison has ended.";
    return state.frames === 0 ? "Waiting for a frame that both have answered…" : "";
  }

  say(text) {
    if (this.words.textContent !== text) this.words.textContent = text;
  }
}

function totals(state) {
  const share = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;
  const parts = [`Agree on ${share(state.agreed, state.frames)} of ${state.frames} frames`];
  if (state.known) parts.push(`right: A ${share(state.right[0], state.known)}, B ${share(state.right[1], state.known)}`);
  parts.push(`median: A ${milliseconds(state.ms[0])} ms, B ${milliseconds(state.ms[1])} ms`);
  return parts.join(" · ");
}

function milliseconds(value) {
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}
