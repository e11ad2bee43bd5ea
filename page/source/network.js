// The network's program, run in plain JavaScript. States are {data, channels, height, width}, one image.

const ACTIVATIONS = {
  identity: (x) => x,
  relu: (x) => (x > 0 ? x : 0),
  relu6: (x) => (x > 0 ? (x < 6 ? x : 6) : 0),
  hardswish: (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
  silu: (x) => (x * (1 + Math.tanh(x / 2))) / 2,
};

const maps = (channels, height, width) => ({ data: new Float32Array(channels * height * width), channels, height, width });

export class Network {
  constructor({ about, arrays }) {
    this.steps = about.steps;
    this.arrays = arrays;
    this.imageSize = about.imageSize;
  }

  /** Float32Array [3 · S · S] → {logits, states}; of evaluations in discrete time, the states of the last. */
  evaluate(image) {
    const side = Math.round(Math.sqrt(image.length / 3));
    const states = { images: { data: image, channels: 3, height: side, width: side } };
    const seen = {};
    this.run(this.steps, states, seen);
    return { logits: states.logits.data, states: { ...states, ...seen } };
  }

  run(steps, states, seen) {
    for (const step of steps) {
      if (step.kind !== "Repeat") RUN[step.kind](step, states, (name) => this.arrays[`step/${step.name}.${name}`]);
      else
        for (let time = 0; time < step.times; time++) {
          const within = { [step.state]: states[step.state] };
          this.run(step.steps, within, seen);
          states[step.state] = within[step.result];
          Object.assign(seen, within);
        }
    }
  }
}

const RUN = {
  Convolution(step, states, tensor) {
    const x = states[step.source], weight = tensor("weight"), bias = tensor("bias");
    const [out, , side] = weight.shape, { stride, padding, depthwise } = step, act = ACTIVATIONS[step.activation];
    const height = Math.floor((x.height + 2 * padding - side) / stride) + 1;
    const width = Math.floor((x.width + 2 * padding - side) / stride) + 1;
    const y = maps(out, height, width);
    const inner = depthwise ? 1 : x.channels;
    for (let o = 0; o < out; o++) {
      const start = o * height * width;
      for (let i = 0; i < inner; i++)
        convolve(x, depthwise ? o : i, weight, (o * inner + i) * side * side, side, stride, padding, y, start);
      const add = bias ? bias[o] : 0;
      for (let at = start; at < start + height * width; at++) y.data[at] = act(y.data[at] + add);
    }
    states[step.target] = y;
  },

  NodeOperation(step, states, tensor) {
    const x = normed(step, states[step.source], tensor), kernel = tensor("kernel"), side = step.kernel_size, { stride } = step;
    const y = maps(x.channels, Math.ceil(x.height / stride), Math.ceil(x.width / stride));
    for (let c = 0; c < x.channels; c++)
      convolve(x, c, kernel, c * side * side, side, stride, side >> 1, y, c * y.height * y.width);
    states[step.target] = y;
  },

  Norm(step, states, tensor) {
    states[step.target] = normed(step, states[step.source], tensor);
  },

  Messages(step, states, tensor) {
    const h = states[step.source], size = h.height * h.width;
    const row = tensor("row"), column = tensor("column"), weight = tensor("weight");
    const targets = targetsOf(step, states, h);
    for (let edge = 0; edge < row.length; edge++) {
      let which = 0, at = row[edge];
      while (at >= targets[which].channels) at -= targets[which++].channels;
      const to = targets[which].data, w = weight[edge];
      for (let p = 0, from = column[edge] * size, into = at * size; p < size; p++) to[into + p] += w * h.data[from + p];
    }
  },

  Sum(step, states, tensor) {
    const h = states[step.source], size = h.height * h.width;
    const row = tensor("row"), column = tensor("column"), [target] = targetsOf(step, states, h);
    for (let edge = 0; edge < row.length; edge++)
      for (let p = 0; p < size; p++) target.data[row[edge] * size + p] += h.data[column[edge] * size + p];
  },

  Pool(step, states) {
    const x = states[step.source], y = maps(x.channels, 1, 1);
    const [first, end] = step.window ?? [0, null];
    const bottom = end ?? x.height, right = end ?? x.width;
    for (let c = 0; c < x.channels; c++) {
      let sum = 0;
      for (let r = first; r < bottom; r++) for (let p = first; p < right; p++) sum += x.data[(c * x.height + r) * x.width + p];
      y.data[c] = sum / ((bottom - first) * (right - first));
    }
    states[step.target] = y;
  },

  Linear(step, states, tensor) {
    const x = states[step.source].data, weight = tensor("weight"), bias = tensor("bias"), [out, inner] = weight.shape;
    const y = (states[step.target] ??= maps(out, 1, 1));
    for (let o = 0; o < out; o++) {
      let sum = bias ? bias[o] : 0;
      for (let i = 0; i < inner; i++) sum += weight[o * inner + i] * x[i];
      y.data[o] += sum;
    }
  },
};

function targetsOf(step, states, like) {
  return step.targets.map((name, at) => (states[name] ??= maps(step.sizes[at], like.height, like.width)));
}

/** Adds channel `c` of x, seen through a kernel, to a map of y. */
function convolve(x, c, kernel, first, side, stride, padding, y, start) {
  const { height, width, data } = x, from = c * height * width;
  for (let ky = 0; ky < side; ky++)
    for (let kx = 0; kx < side; kx++) {
      const factor = kernel[first + ky * side + kx];
      if (factor === 0) continue;
      const left = Math.max(0, Math.ceil((padding - kx) / stride));
      const right = Math.min(y.width, Math.floor((width - 1 + padding - kx) / stride) + 1);
      for (let row = 0; row < y.height; row++) {
        const above = row * stride + ky - padding;
        if (above < 0 || above >= height) continue;
        for (let column = left, at = from + above * width + left * stride + kx - padding, to = start + row * y.width + left; column < right; column++, at += stride, to++)
          y.data[to] += factor * data[at];
      }
    }
}

function normed(step, x, tensor) {
  const size = x.height * x.width, act = ACTIVATIONS[step.activation], y = maps(x.channels, x.height, x.width);
  const scale = step.norm === "none" ? null : tensor("scale"), shift = step.norm === "none" ? null : tensor("shift");
  for (let c = 0; c < x.channels; c++) {
    const start = c * size;
    let factor = scale ? scale[c] : 1, add = shift ? shift[c] : 0;
    if (step.norm === "instance") {
      let mean = 0, squares = 0;
      for (let p = start; p < start + size; p++) mean += x.data[p];
      mean /= size;
      for (let p = start; p < start + size; p++) squares += (x.data[p] - mean) ** 2;
      factor /= Math.sqrt(squares / size + step.eps);
      add -= mean * factor;
    }
    for (let p = start; p < start + size; p++) y.data[p] = act(x.data[p] * factor + add);
  }
  return y;
}
