// What the panel says of a selected channel or flow.

import { make, plural, short, whole } from "./dom.js";
import { STATUS } from "./wiring.js";

const LISTED = 8;

/** page: what `main.js` offers: wiring, shown, colours, lens, answers, nameOf, select, setLens, close. */
export function describeNode(page, node) {
  const { wiring, shown, arrays, about, colours } = page;
  const level = wiring.levels[wiring.level[node]], status = shown.status[node];
  const kernel = arrays["node/kernel"].subarray(9 * node, 9 * node + 9);
  const into = shown.edgesInto(node), from = shown.edgesFrom(node);
  const { total, through } = shown.paths();
  const facts = [
    ["status", [make("span", { className: "dot", style: { display: "inline-block", background: colours[STATUS[status]] } }), ` ${STATUS[status]}`]],
    ["number", whole(node)],
    ["map", `${level.resolution}×${level.resolution}${level.stride > 1 ? `, stride ${level.stride}` : ""}`],
    ["edges", `${whole(into.length)} in, ${whole(from.length)} out`],
    ["paths", through[node] ? `${short(through[node])} (${short((100 * through[node]) / total)} %)` : "none"],
  ];
  if (level.norm !== "none") facts.push(["scale", short(arrays["node/scale"][node])], ["shift", short(arrays["node/shift"][node])]);
  if (wiring.carry[node] >= 0) facts.push(["starts from", link(page, wiring.carry[node])]);
  return [
    title(page, `Channel ${page.nameOf(node)}`),
    make("div", { className: "row" },
      Number.isNaN(kernel[0]) ? null : kernelOf(kernel, colours),
      make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, ...[value].flat())]))),
    Number.isNaN(kernel[0]) ? make("p", { className: "note" }, about.evaluations === null ? "The classifier reads it; it has no kernel." : "Its kernel is that of the state before.") : null,
    lenses(page, [["edges", "Edges"], ["paths", "All paths"], ["strongest", "Strongest path"]]),
    lensNote(page),
    page.answers ? maps(page, node) : null,
    make("div", { className: "ends" },
      ends(page, "hears", into, wiring.source), ends(page, "is heard by", from, wiring.target)),
  ];
}

export function describeFlow(page, flow) {
  const { colours } = page, { levels } = page.wiring;
  return [
    title(page, `Level ${flow.source} → level ${flow.target}`),
    make("dl", {},
      ...[
        ["edges", `${whole(flow.count)} of ${whole(flow.candidates)} possible pairs (${short((100 * flow.count) / flow.candidates)} %)`],
        ["channels", `${whole(levels[flow.source].size)} → ${whole(levels[flow.target].size)}`],
        ["mean |weight|", flow.known ? short(flow.strength / flow.known) : "unknown"],
      ].flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    make("p", { className: "note" }, "Its edges are drawn; ",
      make("span", { style: { color: colours.positive } }, "blue"), " weights are positive, ",
      make("span", { style: { color: colours.negative } }, "orange"), " ones negative."),
  ];
}

function title(page, text) {
  return make("div", { className: "title" }, make("h2", {}, text),
    make("button", { type: "button", title: "Close (Escape)", ariaLabel: "Close", onclick: () => page.select(null) }, "×"));
}

function link(page, node) {
  return make("button", { type: "button", onclick: () => page.select({ node }) }, page.nameOf(node));
}

function kernelOf(kernel, colours) {
  const most = Math.max(...kernel.map(Math.abs)) || 1;
  return make("div", { className: "kernel", role: "img", ariaLabel: `Kernel ${[...kernel].map(short).join(", ")}` },
    ...[...kernel].map((value) => make("span", {
      style: {
        background: `color-mix(in srgb, ${value < 0 ? colours.negative : colours.positive} ${Math.round((85 * Math.abs(value)) / most)}%, ${colours.ground})`,
        color: Math.abs(value) / most > 0.55 ? colours.panel : colours.ink,
      },
    }, inCell(value))));
}

/** Two digits that fit into a cell. */
function inCell(value) {
  return Math.abs(value) < 0.0005 ? "0" : String(Number(Math.abs(value) < 0.1 ? value.toFixed(3) : value.toPrecision(2))).replace("-", "−");
}

function lenses(page, choices) {
  return make("div", { className: "segments small", role: "group", ariaLabel: "Drawn" },
    ...choices.map(([name, text]) => make("button", { type: "button", ariaPressed: String(page.lens === name), onclick: () => page.setLens(name) }, text)));
}

function lensNote(page) {
  const { wiring, marked } = page;
  if (page.lens === "edges") return null;
  if (!marked.length) return make("p", { className: "note" }, "No path from the stem to the classifier leads through it.");
  if (page.lens === "paths") return make("p", { className: "note" }, `${plural(marked.length, "edge")} lie on paths through it.`);
  const product = marked.reduce((all, edge) => all * Math.abs(wiring.weight[edge]), 1);
  return make("p", { className: "note" }, `Product of |weights| ${short(product)}: `, page.path.map(page.nameOf, page).join(" → "));
}

function ends(page, heading, edges, end) {
  const { wiring, colours } = page;
  const size = (edge) => Math.abs(wiring.weight[edge]) || 0;
  const strongest = [...edges].sort((a, b) => size(b) - size(a)).slice(0, LISTED);
  const most = size(strongest[0]) || 1;
  return make("div", {},
    make("h3", {}, `${heading} ${whole(edges.length)}`),
    ...strongest.map((edge) => make("button", {
      type: "button",
      onclick: () => page.select({ node: end[edge] }),
      style: { "--part": `${(100 * size(edge)) / most}%`, "--tone": wiring.weight[edge] < 0 ? colours.negative : colours.positive },
    }, make("span", {}, page.nameOf(end[edge])), make("span", {}, short(wiring.weight[edge])))),
    edges.length > LISTED ? make("p", { className: "note" }, `and ${whole(edges.length - LISTED)} weaker`) : null);
}

function maps(page, node) {
  const level = page.wiring.level[node], channel = node - page.wiring.levels[level].first;
  const drawn = [["z", "hears"], ["h", "sends"]].flatMap(([letter, text]) => {
    const state = page.answers.states[`${letter}${level}`];
    return state ? [mapOf(state, channel, text, page.colours)] : [];
  });
  return drawn.length ? make("div", { className: "maps" }, ...drawn) : null;
}

/** One channel's feature map: orange below 0, blue above. */
function mapOf({ data, height, width }, channel, text, colours) {
  const values = data.subarray(channel * height * width, (channel + 1) * height * width);
  const most = values.reduce((found, value) => Math.max(found, Math.abs(value)), 0) || 1;
  const canvas = make("canvas", { width, height }), context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height), { ground, positive, negative } = colours.rgb;
  values.forEach((value, at) => {
    const part = Math.abs(value) / most, tone = value < 0 ? negative : positive;
    for (let c = 0; c < 3; c++) pixels.data[4 * at + c] = 255 * (ground[c] + (tone[c] - ground[c]) * part);
    pixels.data[4 * at + 3] = 255;
  });
  context.putImageData(pixels, 0, 0);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return make("figure", {}, canvas, make("figcaption", {}, `${text}; mean ${short(mean)}`));
}

export const isLive = (status) => status === LIVE;
