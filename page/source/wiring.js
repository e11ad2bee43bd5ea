// The wiring: which edges are there at an epoch and above a threshold, and what follows from them.

export const DEAD = 0, CONSTANT = 1, LIVE = 2;
export const STATUS = ["dead", "constant", "live"];

const joined = (a, b, Type) => {
  const all = new Type(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
};

export class Wiring {
  /** Edges 0 … E − 1 are those of now; the later ones are gone, and their weights are unknown (NaN). */
  constructor({ about, arrays }) {
    this.about = about;
    this.levels = about.levels;
    this.numNodes = about.nodes;
    this.numNow = about.edges;
    const none = new Uint32Array(0);
    this.source = joined(arrays["edge/source"], arrays["past/source"] ?? none, Uint32Array);
    this.target = joined(arrays["edge/target"], arrays["past/target"] ?? none, Uint32Array);
    this.weight = new Float32Array(this.source.length).fill(NaN);
    this.weight.set(arrays["edge/weight"]);
    this.level = new Uint16Array(this.numNodes);
    this.levels.forEach((level, index) => this.level.fill(index, level.first, level.first + level.size));
    this.carry = arrays["node/carry"];
    this.carriers = new Map();
    this.carry.forEach((twin, node) => twin >= 0 && this.carriers.set(twin, node));
    this.read = arrays["node/read"];
    this.change = arrays["past/change"];
    this.changeFirst = arrays["past/first"];
    this.magnitudes = Float32Array.from(arrays["edge/weight"], Math.abs).sort();
    // Of each edge of now, how many percent of them are weaker.
    this.rank = Float32Array.from(arrays["edge/weight"], (w) => this.weakerThan(Math.abs(w)) / (this.numNow || 1));
  }

  /** How many edges of now have a weight of smaller magnitude. */
  weakerThan(magnitude) {
    let low = 0, high = this.magnitudes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.magnitudes[middle] < magnitude) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The magnitude that the weakest `share` of all edges do not reach. */
  thresholdOf(share) {
    return share <= 0 || !this.numNow ? 0 : this.magnitudes[Math.min(this.numNow - 1, Math.floor(share * this.numNow))];
  }

  /** Edges that are there after the epoch of that position (null: now), and not weaker than the threshold. */
  shown(epoch, threshold) {
    const there = new Uint8Array(this.source.length);
    if (epoch === null) there.fill(1, 0, this.numNow);
    else for (let at = 0; at < this.changeFirst[epoch + 1]; at++) there[this.change[at]] ^= 1;
    const edges = new Uint32Array(there.length);
    let count = 0;
    for (let edge = 0; edge < there.length; edge++) {
      // A comparison with NaN is false: with a threshold, edges of unknown weight are left out.
      if (there[edge] && (threshold <= 0 || Math.abs(this.weight[edge]) >= threshold)) edges[count++] = edge;
    }
    return new Shown(this, edges.slice(0, count));
  }
}

/** Some edges of a wiring. */
class Shown {
  constructor(wiring, edges) {
    this.wiring = wiring;
    this.edges = edges;
    this.incoming = byNode(wiring.numNodes, edges, wiring.target);
    this.outgoing = byNode(wiring.numNodes, edges, wiring.source);
    this.status = statusOf(this);
    this.statusCounts = [0, 0, 0];
    for (const status of this.status) this.statusCounts[status]++;
  }

  edgesInto(node) { return this.incoming.of(node); }
  edgesFrom(node) { return this.outgoing.of(node); }

  /** Per pair of levels: {source, target, count, candidates, strength: Σ|w|}. */
  flows() {
    const { level, levels, source, target, weight } = this.wiring;
    const n = levels.length, found = new Map();
    for (const edge of this.edges) {
      const key = level[source[edge]] * n + level[target[edge]];
      let flow = found.get(key);
      if (!flow) {
        const from = Math.floor(key / n), to = key % n;
        flow = { source: from, target: to, count: 0, known: 0, strength: 0, candidates: levels[from].size * levels[to].size };
        found.set(key, flow);
      }
      flow.count++;
      if (!Number.isNaN(weight[edge])) { flow.known++; flow.strength += Math.abs(weight[edge]); }
    }
    return [...found.values()].sort((a, b) => a.source - b.source || a.target - b.target);
  }

  edgesOfFlow(from, to) {
    const { level, source, target } = this.wiring;
    return this.edges.filter((edge) => level[source[edge]] === from && level[target[edge]] === to);
  }

  /** {total, through: Float64Array [N]}: paths from the stem to nodes that the classifier reads. */
  paths() {
    if (this._paths) return this._paths;
    const { levels, carry, carriers, source, target, read, numNodes } = this.wiring;
    const from = new Float64Array(numNodes), to = new Float64Array(numNodes);
    const last = levels.at(-1);
    from.fill(1, 0, levels[0].size);
    read.forEach((flag, at) => (to[last.first + at] = flag));
    for (let node = levels[0].size; node < numNodes; node++) {
      for (const edge of this.edgesInto(node)) from[node] += from[source[edge]];
      if (carry[node] >= 0) from[node] += from[carry[node]];
    }
    for (let node = last.first - 1; node >= 0; node--) {
      for (const edge of this.edgesFrom(node)) to[node] += to[target[edge]];
      if (carriers.has(node)) to[node] += to[carriers.get(node)];
    }
    let total = 0;
    for (let node = last.first; node < numNodes; node++) total += from[node] * to[node];
    return (this._paths = { total, through: from.map((count, node) => count * to[node]) });
  }

  /** Edges on the paths from the stem to the classifier that lie on a node. */
  edgesOfPaths(node) {
    const { source, target, carry, carriers, levels, read } = this.wiring;
    const up = new Set([node]), down = new Set([node]), edges = [];
    const last = levels.at(-1).first;
    for (const each of up) {
      for (const edge of this.edgesInto(each)) up.add(source[edge]);
      if (carry[each] >= 0) up.add(carry[each]);
    }
    for (const each of down) {
      for (const edge of this.edgesFrom(each)) down.add(target[edge]);
      if (carriers.has(each)) down.add(carriers.get(each));
    }
    const { through } = this.paths();
    const lives = (each) => through[each] > 0 && (each < last || read[each - last]);
    for (const edge of this.edges) {
      const a = source[edge], b = target[edge];
      if (lives(a) && lives(b) && ((up.has(a) && up.has(b)) || (down.has(a) && down.has(b)))) edges.push(edge);
    }
    return Uint32Array.from(through[node] > 0 ? edges : []);
  }

  /** {edges, nodes} of the path through a node whose weights have the largest product; none if no path is there. */
  strongestPath(node) {
    const { source, target, weight, carry, carriers, levels, read, numNodes } = this.wiring;
    const size = (edge) => Math.log(Math.abs(weight[edge]) || 1e-30) || 0;
    const best = (count) => ({ sum: new Float64Array(count).fill(-Infinity), by: new Int32Array(count).fill(-1), twin: new Uint8Array(count) });
    const up = best(numNodes), down = best(numNodes), last = levels.at(-1);
    up.sum.fill(0, 0, levels[0].size);
    read.forEach((flag, at) => flag && (down.sum[last.first + at] = 0));
    const better = (side, at, sum, by, twin) => {
      if (sum > side.sum[at]) { side.sum[at] = sum; side.by[at] = by; side.twin[at] = twin; }
    };
    for (let at = levels[0].size; at < numNodes; at++) {
      for (const edge of this.edgesInto(at)) better(up, at, up.sum[source[edge]] + size(edge), edge, 0);
      if (carry[at] >= 0) better(up, at, up.sum[carry[at]], carry[at], 1);
    }
    for (let at = last.first - 1; at >= 0; at--) {
      for (const edge of this.edgesFrom(at)) better(down, at, down.sum[target[edge]] + size(edge), edge, 0);
      if (carriers.has(at)) better(down, at, down.sum[carriers.get(at)], carriers.get(at), 1);
    }
    const edges = [], nodes = [node];
    if (up.sum[node] === -Infinity || down.sum[node] === -Infinity) return { edges: new Uint32Array(0), nodes };
    for (const [side, end] of [[up, source], [down, target]]) {
      for (let at = node; side.by[at] >= 0; ) {
        const by = side.by[at];
        if (side.twin[at]) at = by;
        else { edges.push(by); at = end[by]; }
        nodes.push(at);
      }
    }
    return { edges: Uint32Array.from(edges), nodes: nodes.sort((a, b) => a - b) };
  }
}

/** Edges by one of their ends. */
function byNode(numNodes, edges, end) {
  const first = new Uint32Array(numNodes + 1);
  for (const edge of edges) first[end[edge] + 1]++;
  for (let node = 0; node < numNodes; node++) first[node + 1] += first[node];
  const at = first.slice(), order = new Uint32Array(edges.length);
  for (const edge of edges) order[at[end[edge]]++] = edge;
  return { of: (node) => order.subarray(first[node], first[node + 1]) };
}

/** Live: a path leads from the stem here, and on to the classifier; constant: only the latter; else dead. */
function statusOf(shown) {
  const { wiring } = shown;
  return wiring.about.evaluations === null ? statusOnce(shown) : statusOverTime(shown);
}

function statusOnce(shown) {
  const { levels, source, target, carry, carriers, read, numNodes } = shown.wiring;
  const reached = new Uint8Array(numNodes), used = new Uint8Array(numNodes);
  const last = levels.at(-1);
  reached.fill(1, 0, levels[0].size);
  used.set(read, last.first);
  for (let node = levels[0].size; node < numNodes; node++)
    if (shown.edgesInto(node).some((edge) => reached[source[edge]]) || (carry[node] >= 0 && reached[carry[node]])) reached[node] = 1;
  for (let node = last.first - 1; node >= 0; node--)
    if (shown.edgesFrom(node).some((edge) => used[target[edge]]) || (carriers.has(node) && used[carriers.get(node)])) used[node] = 1;
  return used.map((flag, node) => (flag ? (reached[node] ? LIVE : CONSTANT) : DEAD));
}

/** The graph is one evaluation: nodes of level 0 are the states before, those of level 1 the states after. */
function statusOverTime(shown) {
  const { levels, about } = shown.wiring, size = levels[0].size;
  const status = new Uint8Array(2 * size);
  const [reached, used] = about.evaluations ? inDiscreteTime(shown) : [[new Uint8Array(size).fill(1)], [bySolver(shown)]];
  reached.forEach((flags, time) => {
    for (let node = 0; node < size; node++) {
      const found = used[time][node] ? (flags[node] ? LIVE : CONSTANT) : DEAD;
      if (found > status[node]) status[node] = status[node + size] = found;
    }
  });
  return status;
}

/** [reached, used], each per evaluation. */
function inDiscreteTime({ wiring, edges }) {
  const { levels, about, read, source, target } = wiring, size = levels[0].size;
  const reached = [new Uint8Array(size).fill(1, 0, about.inputs)], used = [read];
  for (let time = 0; time < about.evaluations; time++) {
    const on = new Uint8Array(size), back = new Uint8Array(size);
    for (const edge of edges) {
      if (reached.at(-1)[source[edge]]) on[target[edge] - size] = 1;
      if (used[0][target[edge] - size]) back[source[edge]] = 1;
    }
    reached.push(on);
    used.unshift(back);
  }
  return [reached, used];
}

/** What is used; a solver's steps depend on all images together, so that every state depends on them. */
function bySolver({ wiring, edges }) {
  const { levels, read, source, target } = wiring, size = levels[0].size, used = Uint8Array.from(read);
  for (let before = -1, now = 0; before !== now; ) {
    before = now;
    for (const edge of edges) if (used[target[edge] - size]) used[source[edge]] = 1;
    now = used.reduce((sum, flag) => sum + flag, 0);
  }
  return used;
}
