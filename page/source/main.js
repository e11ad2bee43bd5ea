// The page: reads its data, draws the wiring, and answers what the reader does.

import { Answers } from "./answers.js";
import { readData } from "./data.js";
import { describeFlow, describeNode } from "./detail.js";
import { $, coloursNow, make, plural, short, whole } from "./dom.js";
import { drawFlows, drawLabels, flowAt, shaped } from "./flows.js";
import { CELL, Layout } from "./layout.js";
import { Scene } from "./scene.js";
import { search } from "./search.js";
import { startTheme } from "./theme.js";
import { CONSTANT, DEAD, LIVE, STATUS, Wiring } from "./wiring.js";

const CLICK = 4;

class Page {
  constructor(data) {
    Object.assign(this, data);
    this.wiring = new Wiring(data);
    this.mode = "flows";
    this.lens = "edges";
    this.epoch = null;
    this.threshold = 0;
    this.hidden = new Set();
    this.selected = null;
    this.marked = new Uint32Array(0);
    this.answers = null;
    this.colours = coloursNow();
    const host = $("scene");
    this.layout = new Layout(this.wiring.levels, host.clientWidth / Math.max(1, host.clientHeight));
    this.scene = new Scene(host, this.layout, (context, view) => this.paint(context, view), () => this.shown && this.refresh());
  }

  async start() {
    this.writeHeader();
    this.listen();
    this.shown = this.wiring.shown(null, 0);
    this.flows = shaped(this.shown.flows(), this.layout);
    this.scene.above = Math.max(0, ...this.flows.map((flow) => -flow.top + flow.thickness / 2 - this.layout.height / 2));
    await this.scene.start();
    this.answering = new Answers(this, (answer, strengths) => {
      this.answers = answer;
      this.strengths = strengths;
      this.refresh();
    });
    startTheme(() => {
      this.colours = coloursNow();
      this.refresh();
    });
    this.update();
    $("loading").remove();
  }

  /** After a change of epoch or threshold. */
  update() {
    this.shown = this.wiring.shown(this.epoch, this.threshold);
    this.flows = shaped(this.shown.flows(), this.layout);
    if (this.selected?.flow) {
      const { source, target } = this.selected.flow;
      const again = this.flows.find((flow) => flow.source === source && flow.target === target);
      this.selected = again ? { flow: again } : null;
    }
    this.refresh();
  }

  /** After any change of what is drawn. */
  refresh() {
    this.marked = this.edgesToDraw();
    this.paintEdges();
    this.paintNodes();
    this.scene.apply();
    this.writeControls();
    this.writeDetail();
  }

  edgesToDraw() {
    const { selected, shown, lens, mode } = this;
    this.path = [];
    const visible = (edges) => {
      const { source, target } = this.wiring, { status } = shown;
      return this.hidden.size ? edges.filter((edge) => !this.hidden.has(status[source[edge]]) && !this.hidden.has(status[target[edge]])) : edges;
    };
    if (selected?.flow) return visible(shown.edgesOfFlow(selected.flow.source, selected.flow.target));
    if (selected) {
      const { node } = selected;
      if (lens === "paths") return visible(shown.edgesOfPaths(node));
      if (lens === "strongest") {
        const { edges, nodes } = shown.strongestPath(node);
        this.path = nodes;
        return edges;
      }
      return visible(Uint32Array.from([...shown.edgesInto(node), ...shown.edgesFrom(node)]));
    }
    return mode === "edges" ? visible(shown.edges) : new Uint32Array(0);
  }

  paintEdges() {
    const { source, target, weight, rank } = this.wiring, { positive, negative, muted } = this.colours.rgb;
    const edges = this.marked, count = edges.length;
    const ends = new Float32Array(2 * count), colours = new Float32Array(4 * count);
    // The more edges, the fainter each: together they show densities.
    const alpha = Math.min(0.9, Math.max(0.025, 12 / Math.sqrt(count || 1)));
    for (let at = 0; at < count; at++) {
      const edge = edges[at];
      ends[2 * at] = source[edge];
      ends[2 * at + 1] = target[edge];
      const tone = Number.isNaN(weight[edge]) ? muted : weight[edge] < 0 ? negative : positive;
      colours.set(tone, 4 * at);
      colours[4 * at + 3] = Math.min(0.95, alpha * (0.35 + 1.1 * (rank[edge] ?? 0.5)));
    }
    const wide = count < 40 ? 2.2 : count < 2000 ? 1.3 : 1;
    this.scene.setEdges(ends, colours, new Float32Array(count).fill(wide));
  }

  paintNodes() {
    const { numNodes, source, target } = this.wiring, { status } = this.shown, { rgb } = this.colours;
    const tones = { [LIVE]: rgb.live, [CONSTANT]: rgb.constant, [DEAD]: rgb.dead };
    const touched = new Set(this.path);
    if (this.selected?.node !== undefined) for (const edge of this.marked) touched.add(source[edge]).add(target[edge]);
    const colours = new Float32Array(4 * numNodes), sizes = new Float32Array(numNodes);
    const unit = this.scene.pointUnit * CELL;
    for (let node = 0; node < numNodes; node++) {
      const isSelected = this.selected?.node === node;
      const aside = this.selected?.node !== undefined && !isSelected && !touched.has(node);
      let tone = tones[status[node]], alpha = 1;
      if (this.answers) {
        const part = 0.08 + 0.92 * this.strengths[node] ** 0.7;
        tone = tone.map((value, c) => rgb.dead[c] * (1 - part) * 0.6 + rgb.ground[c] * (1 - part) * 0.4 + value * part);
      }
      if (isSelected) tone = rgb.accent;
      if (aside) alpha = 0.3;
      if (this.hidden.has(status[node])) alpha = 0;
      colours.set(tone, 4 * node);
      colours[4 * node + 3] = alpha;
      sizes[node] = unit * (isSelected ? 1.5 : status[node] === DEAD ? 0.55 : 0.82);
    }
    this.scene.setNodes(colours, sizes);
  }

  paint(context, view) {
    const flow = this.hover?.flow ?? this.selected?.flow ?? null;
    const faint = this.selected?.node !== undefined || (this.mode === "edges" && !this.selected);
    context.save();
    if (faint) context.globalAlpha = 0.3;
    if (!faint || this.hover?.flow) drawFlows(context, this.flows, view, this.colours, flow);
    context.restore();
    drawLabels(context, this.wiring, this.layout, view, this.colours);
  }

  // What the reader does

  /** null, {node} or {flow} */
  select(what, move = false) {
    this.selected = what;
    this.refresh();
    if (move && what?.node !== undefined) this.scene.goTo(this.layout.x[what.node], this.layout.y[what.node]);
  }

  setLens(name) {
    this.lens = name;
    this.refresh();
  }

  setMode(name) {
    this.mode = name;
    if (this.selected?.flow) this.selected = null;
    this.refresh();
  }

  under(event) {
    const { x, y } = this.scene.at(event), node = this.layout.nodeAt(x, y);
    if (node >= 0) return this.hidden.has(this.shown.status[node]) ? null : { node };
    if (this.mode === "edges" && !this.selected?.flow) return null;
    const flow = flowAt(this.flows, x, y, this.scene.view().scale);
    return flow ? { flow } : null;
  }

  listen() {
    const host = $("scene");
    let start = null;
    host.addEventListener("pointerdown", (event) => (start = [event.clientX, event.clientY]), true);
    host.addEventListener("click", (event) => {
      if (!start || Math.hypot(event.clientX - start[0], event.clientY - start[1]) > CLICK) return;
      this.select(this.under(event));
    });
    host.addEventListener("pointermove", (event) => this.point(event));
    host.addEventListener("pointerleave", () => this.point(null));
    $("fit").onclick = () => this.scene.fit(400);
    $("search").addEventListener("keydown", (event) => event.key === "Enter" && this.search());
    $("search").addEventListener("input", () => ($("search-note").textContent = ""));
    $("threshold").oninput = (event) => {
      this.share = event.target.value / 1000;
      this.threshold = this.wiring.thresholdOf(this.share);
      this.soon(() => this.update());
    };
    const { epochs } = this.about;
    $("epoch-row").hidden = !epochs.length;
    $("epoch").max = epochs.length;
    $("epoch").value = epochs.length;
    $("epoch").oninput = (event) => {
      this.epoch = Number(event.target.value) === epochs.length ? null : Number(event.target.value);
      this.soon(() => this.update());
    };
    for (const button of document.querySelectorAll("[data-mode]")) button.onclick = () => this.setMode(button.dataset.mode);
    window.addEventListener("keydown", (event) => {
      if (event.target.matches("input")) return;
      if (event.key === "Escape") this.select(null);
      if (event.key === "0") this.scene.fit(400);
      if (event.key === "/") { event.preventDefault(); $("search").focus(); }
    });
  }

  /** At most once a frame. */
  soon(action) {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(action);
  }

  search() {
    const found = search($("search").value, this.wiring);
    $("search-note").textContent = found.complaint ?? "";
    if (found.node !== undefined) this.select({ node: found.node }, true);
  }

  point(event) {
    const tip = $("tip"), found = event && event.buttons === 0 ? this.under(event) : null;
    const was = this.hover?.flow;
    this.hover = found;
    if (was !== found?.flow) this.scene.repaint();
    $("scene").classList.toggle("over", Boolean(found));
    tip.hidden = !found;
    if (!found) return;
    const { shown } = this;
    tip.textContent = found.flow
      ? `Level ${found.flow.source} → level ${found.flow.target}\n${plural(found.flow.count, "edge")}, ${short((100 * found.flow.count) / found.flow.candidates)} % of all pairs`
      : `${this.nameOf(found.node)}, ${STATUS[shown.status[found.node]]}\n${whole(shown.edgesInto(found.node).length)} in, ${whole(shown.edgesFrom(found.node).length)} out`;
    const box = $("stage").getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - 200)}px`;
    tip.style.top = `${Math.min(event.clientY - box.top + 14, box.height - 60)}px`;
  }

  // What the page says

  nameOf(node) {
    const level = this.wiring.level[node];
    return `${level}:${node - this.wiring.levels[level].first}`;
  }

  writeHeader() {
    const { about } = this, { data, epoch } = about.facts;
    $("name").textContent = about.name;
    $("subtitle").textContent = [
      `${about.network}${data ? ` on ${data}` : ""}, rule ${about.rule}`,
      epoch === undefined ? "" : `after ${plural(Number(epoch), "epoch")}`,
      `${plural(about.nodes, "channel")}, ${plural(about.edges, "edge")} of ${whole(about.candidates)} possible`,
      about.part.threshold ? `edges with |weight| ≥ ${about.part.threshold} only` : "",
    ].filter(Boolean).join(" · ");
    $("about-box").append(
      make("p", {}, "Each dot is a channel, numbered level:channel. Levels run from the stem (left) to the classifier (right); below them are their number, size and the side of their maps in pixels."),
      make("p", {}, "Scroll to zoom, drag to move, click a channel or a flow; / searches, 0 shows everything, Escape closes."),
      make("p", {}, `${Math.round(this.bytes.page / 1024).toLocaleString("en")} KB of data in this page, which loads nothing else.`));
  }

  writeControls() {
    const { shown, about, colours } = this, { epochs } = about;
    for (const button of document.querySelectorAll("[data-mode]")) button.ariaPressed = String(button.dataset.mode === this.mode);
    const drawn = this.marked.length;
    $("shown").textContent = `${plural(shown.edges.length, "edge")} in ${plural(this.flows.length, "flow")}; ${drawn || this.selected ? `${whole(drawn)} drawn` : "click one to draw its edges"}.`;
    $("threshold-value").textContent = this.share ? `${short(100 * this.share)} %: |weight| < ${short(this.threshold)}` : "none";
    if (epochs.length) $("epoch-value").textContent = this.epochInWords(epochs);
    $("statuses").replaceChildren(...[LIVE, CONSTANT, DEAD].map((status) => make("button", {
      type: "button",
      ariaPressed: String(!this.hidden.has(status)),
      title: "Show or hide them",
      onclick: () => { if (!this.hidden.delete(status)) this.hidden.add(status); this.refresh(); },
    }, make("span", { className: "dot", style: { background: colours[STATUS[status]] } }), `${whole(shown.statusCounts[status])} ${STATUS[status]}`)));
    const line = (colour, text) => make("span", {}, make("i", { style: { background: colour } }), text);
    $("legend").replaceChildren(...(drawn || this.selected
      ? [line(colours.positive, "weight > 0"), line(colours.negative, "weight < 0"), ...(this.goneNow() ? [line(colours.muted, "gone since, weight unknown")] : [])]
      : [line(colours.flow, "edges from level to level: wide where they are many, strong in colour where they are dense")]));
  }

  epochInWords(epochs) {
    if (this.epoch === null) return "this checkpoint";
    // Their weights are unknown.
    const gone = this.threshold > 0 ? "without edges gone since" : this.goneNow() ? `${plural(this.goneNow(), "edge")} gone since` : "";
    return [epochs[this.epoch], gone].filter((part) => part !== "").join("; ");
  }

  goneNow() {
    if (this.epoch === null) return 0;
    return this.shown.edges.length - this.shown.edges.filter((edge) => edge < this.wiring.numNow).length;
  }

  writeDetail() {
    const { selected } = this;
    $("detail").replaceChildren(...(!selected ? [] : selected.flow ? describeFlow(this, selected.flow) : describeNode(this, selected.node)).filter(Boolean));
  }
}

async function begin() {
  if (!document.createElement("canvas").getContext("webgl2")) {
    $("loading").textContent = "This browser has no WebGL 2, which draws the wiring; use another one, or switch hardware acceleration on.";
    return;
  }
  const page = new Page(await readData());
  await page.start();
  // For tests and the console.
  window.dnw = page;
}

begin().catch((error) => {
  console.error(error);
  $("loading").textContent = `The page cannot be shown: ${error.message}`;
});
