// The drawing: nodes and edges by the WebGL library, flows and labels on a canvas behind them.

import { CELL } from "./layout.js";

const SPACE = 4096;
// Milliseconds: how long the reader is taken to move after the last sign of it; a frame that is too slow to move with.
const MOVING = 160, SLOW = 70;
// Without a graphics card, more edges than these are too slow, which need not be tried.
const MANY = 2000, SOFTWARE = /swiftshader|llvmpipe|softpipe|software/i;

export class Scene {
  /** paint(context, view): draws what lies behind the nodes, see `view`; onResize(): the nodes' sizes change. */
  constructor(host, layout, paint, onResize) {
    this.host = host;
    this.layout = layout;
    this.paint = paint;
    this.frames = 0;
    this.until = 0;
    this.behind = host.appendChild(document.createElement("canvas"));
    this.front = host.appendChild(document.createElement("div"));
    const content = Math.max(layout.width, layout.height * 2);
    this.unit = (SPACE * 0.9) / content;
    this.centre = layout.width / 2;
    this.graph = new cosmos.Graph(this.front, {
      enableSimulation: false,
      spaceSize: SPACE,
      rescalePositions: false,
      backgroundColor: [0, 0, 0, 0],
      fitViewOnInit: false,
      scalePointsOnZoom: true,
      scaleLinksOnZoom: false,
      linkVisibilityMinTransparency: 1,
      linkGreyoutOpacity: 1,
      renderHoveredPointRing: false,
      hoveredPointCursor: "default",
      transitionDuration: 0,
      enableDrag: false,
      pixelRatio: Math.min(window.devicePixelRatio || 1, 2),
      onZoom: () => this.wake(MOVING),
    });
    new ResizeObserver(() => { if (this.isReady) { this.resize(); this.fit(); onResize(); } }).observe(host);
  }

  async start() {
    await this.graph.ready;
    const gl = this.front.querySelector("canvas").getContext("webgl2"), named = gl.getExtension("WEBGL_debug_renderer_info");
    this.isSoftware = SOFTWARE.test(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
    const { x, y } = this.layout, positions = new Float32Array(2 * x.length);
    for (let node = 0; node < x.length; node++) {
      positions[2 * node] = this.spaceX(x[node]);
      positions[2 * node + 1] = this.spaceY(y[node]);
    }
    this.graph.setPointPositions(positions);
    this.graph.setLinks(new Float32Array(0));
    this.isReady = true;
    this.resize();
    this.apply();
    this.fit();
  }

  spaceX(x) { return SPACE / 2 + (x - this.centre) * this.unit; }
  spaceY(y) { return SPACE / 2 - y * this.unit; }

  /** Everything set since is drawn. */
  apply() {
    this.graph.render();
    // The library draws without end; this page draws when something has changed.
    this.graph.stopFrames();
    this.wake();
  }

  setNodes(colours, sizes) {
    this.graph.setPointColors(colours);
    this.graph.setPointSizes(sizes);
  }

  setEdges(ends, colours, widths) {
    this.graph.setLinks(ends);
    this.graph.setLinkColors(colours);
    this.graph.setLinkWidths(widths);
    this.isSlow = this.isSoftware && widths.length > MANY;
  }

  /** Pixels of the library's point size that a cell's unit takes at zoom 1. */
  get pointUnit() {
    const { scale } = this.view();
    return scale / this.graph.getZoomLevel();
  }

  /** Shows everything, with room for the flows above. */
  fit(duration = 0) {
    const { width, height } = this.layout;
    const corners = [[-30, -height / 2 - this.above], [width + 30, height / 2 + 70]];
    this.graph.setZoomTransformByPointPositions(
      new Float32Array(corners.flatMap(([x, y]) => [this.spaceX(x), this.spaceY(y)])), duration, undefined, 0.03);
    this.wake(duration + MOVING);
  }

  /** Height of the flows above the blocks. */
  get above() { return this._above ?? 0; }
  set above(height) { this._above = height; }

  /** Moves to a point, near enough to tell its neighbours apart. */
  goTo(x, y) {
    const near = 24 / (CELL * this.pointUnit);
    const scale = Math.max(this.graph.getZoomLevel(), near);
    this.graph.setZoomTransformByPointPositions(new Float32Array([this.spaceX(x), this.spaceY(y)]), 500, scale, 0.1);
    this.wake(500 + MOVING);
  }

  /** How units become pixels of the host: left + x · scale, top + y · scale. */
  view() {
    const [left, top] = this.graph.spaceToScreenPosition([this.spaceX(0), this.spaceY(0)]);
    const [right] = this.graph.spaceToScreenPosition([this.spaceX(1000), this.spaceY(0)]);
    return { left, top, scale: (right - left) / 1000, width: this.host.clientWidth, height: this.host.clientHeight };
  }

  /** Units under an event of the pointer. */
  at(event) {
    const box = this.host.getBoundingClientRect(), { left, top, scale } = this.view();
    return { x: (event.clientX - box.left - left) / scale, y: (event.clientY - box.top - top) / scale };
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.behind.width = this.host.clientWidth * ratio;
    this.behind.height = this.host.clientHeight * ratio;
    this.ratio = ratio;
  }

  /** Draws now, and for so many milliseconds. */
  wake(milliseconds = 0) {
    if (milliseconds) this.until = Math.max(this.until, performance.now() + milliseconds);
    if (this.isReady && !this.pending) {
      this.before = null;
      this.pending = requestAnimationFrame((now) => this.frame(now));
    }
  }

  frame(now) {
    this.pending = 0;
    const moves = now < this.until, { config } = this.graph;
    // Where a frame with all edges takes long, they are left out while the reader moves.
    if (config.renderLinks && this.before !== null) this.isSlow = now - this.before > SLOW;
    this.before = now;
    config.renderLinks = !(moves && this.isSlow);
    this.graph.renderFrame(now);
    this.repaint();
    this.frames++;
    if (moves || !config.renderLinks) this.pending = requestAnimationFrame((later) => this.frame(later));
  }

  /** What lies behind, without the nodes and edges. */
  repaint() {
    const context = this.behind.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.host.clientWidth, this.host.clientHeight);
    this.paint(context, this.view());
  }
}
