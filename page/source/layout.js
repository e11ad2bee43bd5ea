// Where nodes are: levels are columns from left to right, each a block of its channels in the order of their numbers.

export const CELL = 10, GAP = 74;

/** Positions in units of which a cell has ten; y grows downwards and is 0 in the middle of every block. */
export class Layout {
  constructor(levels, aspect) {
    this.levels = levels;
    // As many columns per block as make the whole about as wide as it should be.
    let best = null;
    for (let density = 1; density < 12; density *= 1.12) {
      const blocks = blocksOf(levels, density);
      const width = blocks.at(-1).right, height = Math.max(...blocks.map((block) => block.bottom - block.top));
      const miss = Math.abs(Math.log(width / (height * 1.75) / aspect));
      if (!best || miss < best.miss) best = { miss, blocks, width, height };
    }
    Object.assign(this, best);
    const nodes = levels.at(-1).first + levels.at(-1).size;
    this.x = new Float32Array(nodes);
    this.y = new Float32Array(nodes);
    levels.forEach(({ first, size }, index) => {
      const { left, top, rows } = this.blocks[index];
      for (let channel = 0; channel < size; channel++) {
        this.x[first + channel] = left + (Math.floor(channel / rows) + 0.5) * CELL;
        this.y[first + channel] = top + ((channel % rows) + 0.5) * CELL;
      }
    });
  }

  /** The node whose cell holds a point, or −1. */
  nodeAt(x, y) {
    for (const [index, block] of this.blocks.entries()) {
      if (x < block.left || x >= block.right || y < block.top || y >= block.bottom) continue;
      const channel = Math.floor((x - block.left) / CELL) * block.rows + Math.floor((y - block.top) / CELL);
      return channel < this.levels[index].size ? this.levels[index].first + channel : -1;
    }
    return -1;
  }
}

function blocksOf(levels, density) {
  let left = 0;
  return levels.map(({ size }) => {
    const columns = Math.max(1, Math.round(Math.sqrt(size) / density));
    const rows = Math.ceil(size / columns);
    const block = { left, right: left + Math.ceil(size / rows) * CELL, top: (-rows / 2) * CELL, bottom: (rows / 2) * CELL, rows };
    left = block.right + GAP;
    return block;
  });
}
