// An image in, the answers of all channels out.

import { imageOf } from "./image.js";
import { Network } from "./network.js";
import { $, make, short } from "./dom.js";

const TOP = 5;

export class Answers {
  /** onAnswer({logits, states}, strengths: Float32Array [N] from 0 to 1) */
  constructor(data, onAnswer) {
    this.about = data.about;
    this.onAnswer = onAnswer;
    if (!data.about.steps) {
      $("drop").remove();
      $("answer").append(make("p", { className: "note" }, `Not here: ${data.about.noSteps}.`));
      return;
    }
    this.network = new Network(data);
    const drop = $("drop"), file = $("file");
    drop.onclick = () => file.click();
    drop.onkeydown = (event) => (event.key === "Enter" || event.key === " ") && file.click();
    file.onchange = () => file.files[0] && this.take(file.files[0]);
    for (const kind of ["dragover", "dragleave", "drop"])
      window.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", kind === "dragover");
        if (kind === "drop" && event.dataTransfer.files[0]) this.take(event.dataTransfer.files[0]);
      });
  }

  async take(file) {
    $("answer").replaceChildren(make("p", { className: "note" }, "Computing …"));
    try {
      const { image, note } = await imageOf(file, this.about);
      // The sentence above shows before the computation holds the page.
      await new Promise((done) => setTimeout(done, 30));
      const start = performance.now(), answer = this.network.evaluate(image);
      this.show(answer, image, note, performance.now() - start);
    } catch {
      $("answer").replaceChildren(make("p", { className: "note" }, `${file.name} is no image that this browser reads.`));
    }
  }

  show(answer, image, note, milliseconds) {
    const chances = softmax(answer.logits), { classes } = this.about;
    const best = [...chances.keys()].sort((a, b) => chances[b] - chances[a]).slice(0, TOP);
    const rows = best.flatMap((each) => [
      make("b", { title: classes?.[each] ?? "" }, classes?.[each] ?? `class ${each}`),
      make("i", { style: { width: `${100 * chances[each]}%` } }),
      make("span", {}, `${(100 * chances[each]).toFixed(1)} %`),
    ]);
    $("answer").replaceChildren(
      make("div", { className: "row" }, pictureOf(image), make("div", { className: "classes", style: { flex: "1" } }, ...rows)),
      make("p", { className: "note" }, `${Math.max(1, Math.round(milliseconds))} ms in this page. ${note ? `${note} ` : ""}Channels are as bright as their mean |map|, level by level; click one to see its map.`));
    this.image = image;
    this.onAnswer(answer, this.strengths(answer));
  }

  /** Mean |z| of every channel, divided by the largest of its level. */
  strengths({ states }) {
    const { levels, nodes } = this.about, found = new Float32Array(nodes);
    levels.forEach(({ first, size }, index) => {
      const state = states[`z${index}`];
      if (!state) return;
      const pixels = state.height * state.width;
      for (let c = 0; c < size; c++) {
        let sum = 0;
        for (let p = c * pixels; p < (c + 1) * pixels; p++) sum += Math.abs(state.data[p]);
        found[first + c] = sum / pixels;
      }
      const here = found.subarray(first, first + size), most = here.reduce((a, b) => Math.max(a, b), 0) || 1;
      for (let c = 0; c < size; c++) here[c] /= most;
    });
    return found;
  }
}

function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Float64Array.from(logits, (each) => Math.exp(each - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((each) => each / sum);
}

/** The network's input, each colour from its smallest to its largest value. */
function pictureOf(image) {
  const side = Math.round(Math.sqrt(image.length / 3)), canvas = make("canvas", { width: side, height: side });
  const context = canvas.getContext("2d"), pixels = context.createImageData(side, side), size = side * side;
  for (let c = 0; c < 3; c++) {
    const plane = image.subarray(c * size, (c + 1) * size);
    const low = plane.reduce((a, b) => Math.min(a, b), Infinity), high = plane.reduce((a, b) => Math.max(a, b), -Infinity);
    plane.forEach((value, at) => (pixels.data[4 * at + c] = (255 * (value - low)) / (high - low || 1)));
  }
  for (let at = 0; at < size; at++) pixels.data[4 * at + 3] = 255;
  context.putImageData(pixels, 0, 0);
  return make("figure", { title: `The network's input, ${short(side)} pixels wide` }, canvas);
}
