// The values and arrays that Python wrote into the page.

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int32: Int32Array, float32: Float32Array };

/** {about, array(name) → typed array or null, names starting with a prefix} */
export async function readData() {
  const about = JSON.parse(document.getElementById("about").textContent);
  const text = document.getElementById("data").textContent.trim();
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const arrays = {};
  for (const [name, { dtype, shape, offset }] of Object.entries(about.arrays)) {
    const values = new TYPES[dtype](buffer, offset, shape.reduce((a, b) => a * b, 1));
    values.shape = shape;
    arrays[name] = values;
  }
  return { about, arrays, bytes: { page: text.length, packed: packed.length, unpacked: buffer.byteLength } };
}
