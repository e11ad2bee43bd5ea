// Edges between two levels, drawn as one: a band between neighbours, an arc over the levels that it skips.

import { CELL, GAP } from "./layout.js";

const WIDEST = 46, THINNEST = 1.5;

/** Flows with their shape: {…flow, thickness, path: Path2D in the layout's units, top}. */
export function shaped(flows, layout) {
  const most = Math.max(1, ...flows.map((flow) => flow.count));
  const made = flows.map((flow) => ({ ...flow, thickness: THINNEST + (WIDEST - THINNEST) * (flow.count / most) }));
  for (const [index, block] of layout.blocks.entries()) {
    const over = (flow) => flow.target - flow.source > 1;
    // Arcs that reach further lie outside, so that those of one level do not cross.
    const out = made.filter((flow) => flow.source === index && over(flow)).sort((a, b) => b.target - a.target);
    const into = made.filter((flow) => flow.target === index && over(flow)).sort((a, b) => b.source - a.source);
    const middle = (block.left + block.right) / 2, half = (block.right - block.left) / 2 + GAP * 0.2;
    spread(out, middle, half, "startX");
    spread(into, middle - half, half, "endX");
  }
  for (const flow of made) {
    const from = layout.blocks[flow.source], to = layout.blocks[flow.target];
    flow.path = new Path2D();
    if (flow.target - flow.source === 1) {
      const x1 = from.right + CELL * 0.2, x2 = to.left - CELL * 0.2, bend = (x2 - x1) * 0.4;
      flow.path.moveTo(x1, 0);
      flow.path.bezierCurveTo(x1 + bend, 0, x2 - bend, 0, x2, 0);
      flow.top = 0;
      continue;
    }
    const y1 = from.top - CELL * 0.4, y2 = to.top - CELL * 0.4;
    let roof = Math.min(y1, y2);
    for (let each = flow.source; each <= flow.target; each++) roof = Math.min(roof, layout.blocks[each].top);
    roof -= 24 + 0.42 * (flow.endX - flow.startX);
    // A cubic reaches three quarters of the way to its control points.
    flow.top = roof * 0.75 + ((y1 + y2) / 2) * 0.25;
    flow.path.moveTo(flow.startX, y1);
    flow.path.bezierCurveTo(flow.startX, roof, flow.endX, roof, flow.endX, y2);
  }
  return made;
}

function spread(flows, left, width, name) {
  const total = flows.reduce((sum, flow) => sum + flow.thickness + 2, 0);
  const squeeze = Math.min(1, width / (total || 1));
  let at = left + (width - total * squeeze) / 2;
  for (const flow of flows) {
    flow[name] = at + ((flow.thickness + 2) * squeeze) / 2;
    at += (flow.thickness + 2) * squeeze;
  }
}

export function drawFlows(context, flows, { left, top, scale }, colours, marked) {
  context.save();
  context.translate(left, top);
  context.scale(scale, scale);
  const densest = Math.max(...flows.map((flow) => flow.count / flow.candidates), 1e-9);
  for (const flow of flows) {
    const isMarked = marked && marked.source === flow.source && marked.target === flow.target;
    context.globalAlpha = isMarked ? 0.95 : (0.32 + 0.5 * (flow.count / flow.candidates / densest)) * (marked ? 0.6 : 1);
    context.strokeStyle = isMarked ? colours.accent : colours.flow;
    context.lineWidth = Math.max(flow.thickness, 0.8 / scale);
    context.stroke(flow.path);
  }
  context.restore();
}

/** The flow under a point in the layout's units, the thinnest if there are several. */
export function flowAt(flows, x, y, scale) {
  const context = (flowAt.context ??= document.createElement("canvas").getContext("2d"));
  return flows
    .filter((flow) => {
      context.lineWidth = Math.max(flow.thickness, 6 / scale);
      return context.isPointInStroke(flow.path, x, y);
    })
    .sort((a, b) => a.thickness - b.thickness)[0];
}

/** Names of levels and stages below the blocks. */
export function drawLabels(context, wiring, layout, { left, top, scale }, colours) {
  const { levels } = wiring, bottom = top + (layout.height / 2) * scale;
  context.textAlign = "center";
  context.textBaseline = "top";
  let end = -Infinity;
  const twoLines = (index) => {
    const block = layout.blocks[index], x = left + ((block.left + block.right) / 2) * scale;
    const room = (block.right - block.left + GAP) * scale;
    if (x - room / 2 < end && room < 26) return;
    end = x + Math.min(room, 26) / 2;
    context.fillStyle = colours.ink;
    context.font = "600 12px system-ui, sans-serif";
    context.fillText(String(index), x, bottom + 8);
    context.fillStyle = colours.muted;
    context.font = "11px system-ui, sans-serif";
    if (room > 34) context.fillText(levels[index].size.toLocaleString("en"), x, bottom + 23);
  };
  levels.forEach((_, index) => twoLines(index));
  const sides = [...new Set(levels.map((level) => level.resolution))];
  for (const side of sides) {
    const mine = levels.flatMap((level, index) => (level.resolution === side ? [index] : []));
    const x1 = left + layout.blocks[mine[0]].left * scale, x2 = left + layout.blocks[mine.at(-1)].right * scale;
    context.strokeStyle = colours.line;
    context.beginPath();
    context.moveTo(x1, bottom + 42.5);
    context.lineTo(x2, bottom + 42.5);
    context.stroke();
    context.fillStyle = colours.muted;
    context.font = "11px system-ui, sans-serif";
    context.fillText(x2 - x1 > 44 ? `${side}×${side}` : String(side), (x1 + x2) / 2, bottom + 47);
  }
}
