// Opens the pages that pages.py wrote in headless Chromium and uses them. Arguments: their folder.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

// playwright-core is installed beside the page's sources.
const { chromium } = createRequire(new URL("../../page/", import.meta.url))("playwright-core");

const folder = resolve(process.argv[2]);
const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

async function open(name, colorScheme = "light") {
  const page = await browser.newPage({ viewport: { width: 1400, height: 880 }, colorScheme });
  page.setDefaultTimeout(240000);
  const said = [], asked = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error.stack}`));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(`file://${join(folder, name)}.html`);
  await until(page, "!!window.dnw", name);
  return Object.assign(page, { said, asked, name });
}

async function until(page, condition, what) {
  for (const end = Date.now() + 240000; Date.now() < end; await new Promise((done) => setTimeout(done, 100)))
    if (await page.evaluate(condition)) return;
  throw new Error(`${what}: not within four minutes: ${condition}; ${page.said?.join("; ")}`);
}

/** The picture when everything is drawn. */
async function shot(page, name) {
  await until(page, "dnw.scene.pending === 0", name);
  const picture = await page.screenshot({ timeout: 240000 });
  if (process.env.KEEP_SHOTS) writeFileSync(join(folder, `${name}.png`), picture);
  return picture;
}

async function close(page) {
  assert.deepEqual(page.said, [], `${page.name}: the console is silent`);
  assert.deepEqual(page.asked.filter((url) => !/^(file|data|blob):/.test(url)), [], `${page.name}: nothing is loaded`);
  await page.close();
}

const tests = {
  async "every page has the graph's counts, statuses and paths"() {
    for (const [name, { nodes, edges, status, paths, through }] of Object.entries(expected)) {
      const page = await open(name);
      const found = await page.evaluate(() => ({
        nodes: dnw.layout.x.length,
        edges: dnw.shown.edges.length,
        inFlows: dnw.flows.reduce((sum, flow) => sum + flow.count, 0),
        status: [...dnw.shown.status],
        paths: dnw.shown.paths().total,
        through: [...dnw.shown.paths().through],
        points: dnw.scene.graph.getPointPositions().length / 2,
        text: document.querySelector("#subtitle").textContent,
      }));
      assert.equal(found.nodes, nodes, name);
      assert.equal(found.points, nodes, name);
      assert.equal(found.edges, edges, name);
      assert.equal(found.inFlows, edges, name);
      assert.deepEqual(found.status, status, `${name}: statuses`);
      near([found.paths], [paths], 1e-12, `${name}: paths`);
      near(found.through, through, 1e-12, `${name}: paths through channels`);
      assert.match(found.text, new RegExp(edges.toLocaleString("en")));
      await close(page);
    }
  },

  async "a program runs in the page as NumPy runs it"() {
    for (const [name, { image, logits, states, runs }] of Object.entries(expected)) {
      if (name === "imagenet") continue;
      const page = await open(name);
      if (!runs) {
        assert.match(await page.textContent("#answer"), /Not here: .*continuous time/);
      } else {
        const found = await page.evaluate((values) => {
          const { logits, states } = dnw.answering.network.evaluate(Float32Array.from(values));
          const means = Object.entries(states).map(([state, { data, channels }]) => {
            const size = data.length / channels;
            return [state, Array.from({ length: channels }, (_, c) => data.subarray(c * size, (c + 1) * size).reduce((sum, x) => sum + Math.abs(x), 0) / size)];
          });
          return { logits: [...logits], states: Object.fromEntries(means) };
        }, image);
        near(found.logits, logits, 1e-4, `${name}: logits`);
        for (const state of Object.keys(states)) near(found.states[state], states[state], 1e-4, `${name}: ${state}`);
      }
      await close(page);
    }
  },

  async "a click selects a channel, and its edges are drawn"() {
    const page = await open("tiny");
    const before = await shot(page, "tiny-flows");
    const node = await page.evaluate(() => dnw.shown.status.findIndex((status, node) => status === 2 && dnw.wiring.level[node] === 2 && dnw.shown.edgesFrom(node).length > 2));
    await page.mouse.click(...(await placeOf(page, node)));
    assert.equal(await page.evaluate("dnw.selected.node"), node);
    const { name, degree, drawn } = await page.evaluate((node) => ({
      name: dnw.nameOf(node),
      degree: dnw.shown.edgesInto(node).length + dnw.shown.edgesFrom(node).length,
      drawn: dnw.marked.length,
    }), node);
    assert.equal(drawn, degree);
    assert.match(await page.textContent("#detail h2"), new RegExp(`Channel ${name}$`));
    assert.equal(await page.locator(".kernel span").count(), 9);
    assert.notDeepEqual(await shot(page, "tiny-selected"), before);

    await page.click("text=All paths");
    const onPaths = await page.evaluate("dnw.marked.length");
    assert.ok(onPaths > degree);
    await page.click("text=Strongest path");
    const strongest = await page.evaluate("[...dnw.marked].map((edge) => [dnw.wiring.source[edge], dnw.wiring.target[edge]])");
    assert.ok(strongest.some((ends) => ends.includes(node)));
    await page.keyboard.press("Escape");
    assert.equal(await page.evaluate("dnw.selected"), null);
    await close(page);
  },

  async "the strongest path has the largest product of weights"() {
    for (const name of ["tiny", "small"]) {
      const page = await open(name);
      const found = await page.evaluate(() => Array.from({ length: dnw.about.nodes }, (_, node) => {
        const { edges, nodes } = dnw.shown.strongestPath(node);
        const isPath = nodes.includes(node) && dnw.wiring.level[nodes[0]] === 0 && nodes.at(-1) >= dnw.wiring.levels.at(-1).first;
        return isPath ? edges.reduce((product, edge) => product * Math.abs(dnw.wiring.weight[edge]), 1) : 0;
      }));
      found.forEach((product, node) => near([product], [expected[name].strongest[node]], 1e-5, `${name}, channel ${node}`));
      await close(page);
    }
  },

  async "a click on a flow draws its edges"() {
    const page = await open("tiny");
    const [x, y, count] = await page.evaluate(() => {
      const flow = dnw.flows.find(({ source, target }) => target - source === 1), { left, top, scale } = dnw.scene.view();
      const box = document.querySelector("#scene").getBoundingClientRect();
      return [box.x + left + (dnw.layout.blocks[flow.source].right + 37) * scale, box.y + top, flow.count];
    });
    await page.mouse.click(x, y);
    assert.equal(await page.evaluate("dnw.marked.length"), count);
    assert.match(await page.textContent("#detail h2"), /Level 0 → level 1/);
    await close(page);
  },

  async "the threshold changes what is visible"() {
    const page = await open("tiny");
    await page.click("text=All edges");
    const all = await shot(page, "tiny-edges");
    assert.equal(await page.evaluate("dnw.marked.length"), expected.tiny.edges);
    await slide(page, "#threshold", 600);
    await until(page, `dnw.marked.length < ${expected.tiny.edges}`, "threshold");
    const { drawn, wanted } = await page.evaluate(() => ({
      drawn: dnw.marked.length,
      wanted: [...dnw.arrays["edge/weight"]].filter((weight) => Math.abs(weight) >= dnw.threshold).length,
    }));
    assert.equal(drawn, wanted);
    assert.ok(Math.abs(drawn - 0.4 * expected.tiny.edges) <= 1);
    assert.deepEqual(await page.evaluate("[...dnw.shown.status]"), expected.tiny.strong);
    assert.notDeepEqual(await shot(page, "tiny-threshold"), all);
    await close(page);
  },

  async "the epoch shows the wiring of then"() {
    const page = await open("tiny");
    const says = (words) => until(page, `document.querySelector("#epoch-value").textContent.startsWith("${words}")`, words);
    for (const [at, epoch] of [0, 1, 5].entries()) {
      await slide(page, "#epoch", at);
      await says(`${epoch}; `);
      const pairs = await page.evaluate("[...dnw.shown.edges].map((edge) => [dnw.wiring.source[edge], dnw.wiring.target[edge]])");
      assert.deepEqual(pairs.sort(([a, b], [c, d]) => a - c || b - d), expected.tiny.past[at]);
    }
    await slide(page, "#epoch", 3);
    await says("this checkpoint");
    assert.ok(await page.evaluate("dnw.shown.edges.length === dnw.about.edges && dnw.shown.edges.every((edge, at) => edge === at)"));
    await close(page);
  },

  async "a search finds a channel, and says what it does not understand"() {
    const page = await open("tiny");
    await page.fill("#search", "2:3");
    await page.press("#search", "Enter");
    assert.equal(await page.evaluate("dnw.nameOf(dnw.selected.node)"), "2:3");
    await until(page, "dnw.scene.pending === 0", "the move");
    const [x, y] = await placeOf(page, await page.evaluate("dnw.selected.node"));
    assert.ok(Math.abs(x - 525) < 40 && Math.abs(y - 464) < 40, `the channel is in the middle, not at ${x}, ${y}`);
    const cell = await page.evaluate("10 * dnw.scene.view().scale");
    assert.ok(cell > 20 && cell < 40, `a channel is ${cell} pixels wide`);
    await page.fill("#search", "9:3");
    await page.press("#search", "Enter");
    assert.equal(await page.textContent("#search-note"), "Levels are numbered from 0 to 4.");
    await close(page);
  },

  async "channels of a status can be hidden"() {
    const page = await open("small");
    const counts = await page.evaluate("[...dnw.shown.statusCounts]");
    assert.ok(counts[0] > 0);
    await page.click(`#statuses button:has-text("${counts[0]} dead")`);
    assert.ok(await page.evaluate(() => dnw.scene.graph.getPointColors().filter((_, at) => at % 4 === 3 && dnw.shown.status[(at - 3) / 4] === 0).every((alpha) => alpha === 0)));
    await close(page);
  },

  async "a picture becomes the network's input as in Python"() {
    for (const name of ["tiny", "discrete"]) {
      const page = await open(name);
      await page.setInputFiles("#file", join(folder, `${name}.png`));
      await until(page, "!!dnw.answers", "answers");
      const found = await page.evaluate("[...dnw.answering.image]"), wanted = expected[name].picture;
      // Where a scaled value lies halfway between two of 0 … 255, either is right; std is 0.2 at least.
      const off = found.map((value, at) => Math.abs(value - wanted[at]));
      assert.ok(Math.max(...off) < 1.01 / 255 / 0.2, `${name}: a pixel is off by ${Math.max(...off)}`);
      assert.ok(off.filter((each) => each > 1e-5).length <= off.length / 100, `${name}: over 1 % of the pixels differ`);
      await close(page);
    }
  },

  async "an image is answered"() {
    const page = await open("tiny");
    await page.setInputFiles("#file", join(folder, "tiny.png"));
    await until(page, "!!dnw.answers", "answers");
    assert.equal(await page.locator(".classes i").count(), 5);
    assert.match(await page.textContent(".classes b"), /^class <\d+> & "co"$/);
    await page.evaluate("dnw.select({ node: 40 })");
    assert.equal(await page.locator(".maps canvas").count(), 2);
    await shot(page, "tiny-answers");
    await close(page);
  },

  async "the theme follows the system, and the button changes it"() {
    const page = await open("tiny", "dark");
    assert.equal(await page.evaluate("document.documentElement.dataset.theme"), "dark");
    const dark = await shot(page, "tiny-dark");
    await page.click("#theme");
    assert.equal(await page.evaluate("document.documentElement.dataset.theme"), "light");
    assert.notDeepEqual(await shot(page, "tiny-light"), dark);
    await close(page);
  },

  async "frames per second, measured, not judged"() {
    const page = await open("imagenet");
    const rate = (frames, moving) => page.evaluate(async ([frames, moving]) => {
      const gl = dnw.scene.front.querySelector("canvas").getContext("webgl2");
      // Waits until all frames are drawn.
      const finish = () => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
      finish();
      const start = performance.now(), level = dnw.scene.graph.getZoomLevel();
      for (let at = 0; at < frames; at++) {
        if (moving) dnw.scene.graph.setZoomLevel(level * (1 + 0.002 * at), 0);
        const before = dnw.scene.frames;
        dnw.scene.wake(moving ? 100000 : 0);
        while (dnw.scene.frames === before) await new Promise(requestAnimationFrame);
        finish();
      }
      dnw.scene.until = 0;
      return (1000 * frames) / (performance.now() - start);
    }, [frames, moving]);
    const shown = async (name, { moving, still }) => {
      const moves = (await rate(moving, true)).toFixed(2);
      await until(page, "dnw.scene.pending === 0", name);
      const rests = (await rate(still, false)).toFixed(2);
      console.log(`  ImageNet wiring, ${name}: ${moves} frames per second while it moves, ${rests} at rest`);
    };
    console.log(`  drawn by ${await page.evaluate("dnw.scene.isSoftware ? 'software' : 'a graphics card'")}`);
    await shown("flows", { moving: 20, still: 5 });
    await page.evaluate("dnw.select({ node: 2500 })");
    await shown("edges of a channel", { moving: 20, still: 5 });
    await page.evaluate("dnw.select({ flow: dnw.flows.find((flow) => flow.source === 8 && flow.target === 9) })");
    await shown(`${await page.evaluate("dnw.marked.length")} edges of a flow`, { moving: 10, still: 2 });
    await page.evaluate("dnw.select(null), dnw.setMode('edges')");
    await shown(`all ${await page.evaluate("dnw.marked.length")} edges`, { moving: 10, still: 1 });
    await close(page);
  },
};

async function placeOf(page, node) {
  return page.evaluate((node) => {
    const { left, top, scale } = dnw.scene.view(), box = document.querySelector("#scene").getBoundingClientRect();
    return [box.x + left + dnw.layout.x[node] * scale, box.y + top + dnw.layout.y[node] * scale];
  }, node);
}

function slide(page, slider, value) {
  return page.locator(slider).evaluate((input, value) => {
    input.value = value;
    input.dispatchEvent(new Event("input"));
  }, value);
}

function near(found, wanted, tolerance, what) {
  assert.equal(found?.length, wanted.length, what);
  const most = Math.max(...wanted.map(Math.abs)) || 1;
  const worst = Math.max(...found.map((value, at) => Math.abs(value - wanted[at])));
  assert.ok(worst <= tolerance * most, `${what}: differs by ${worst / most} of the largest`);
}

let failures = 0;
for (const [name, test] of Object.entries(tests)) {
  if (process.argv[3] && !name.includes(process.argv[3])) continue;
  try {
    await test();
    console.log(`passed: ${name}`);
  } catch (error) {
    failures++;
    console.log(`FAILED: ${name}\n${error.stack}`);
  }
}
await browser.close();
process.exitCode = failures ? 1 : 0;
