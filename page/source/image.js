// From a picture to the network's input, by the preprocessing that the run recorded.

/** {image: Float32Array [3 · S · S], note} of a file; note says what was done to it besides. */
export async function imageOf(file, about) {
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return prepared({ planes: planesOf(data), width, height }, about.preprocessing, about.imageSize);
}

/** See `imageOf`; picture: {planes: three Float32Arrays of 0 … 255, width, height}. */
export function prepared(picture, how, side) {
  const notes = [];
  let now = picture;
  if (how?.resize) now = resized(now, ...sizeOf(how.resize, now));
  const pad = how?.pad ?? { left: 0, top: 0, right: 0, bottom: 0, value: 0 };
  const [height, width] = how?.centre_crop
    ? [how.centre_crop, how.centre_crop]
    : [side - pad.top - pad.bottom, side - pad.left - pad.right];
  if (now.height < height || now.width < width || (!how?.centre_crop && (now.height !== height || now.width !== width))) {
    const scale = Math.max(height / now.height, width / now.width);
    now = resized(now, Math.round(now.height * scale), Math.round(now.width * scale));
    notes.push(`The image was scaled to ${width}×${height} pixels.`);
  }
  now = cut(now, height, width);
  const mean = how?.mean ?? [0, 0, 0], std = how?.std ?? [1, 1, 1];
  if (!how) notes.push("The run records no preprocessing, so values go from 0 to 1.");
  const image = new Float32Array(3 * side * side);
  const top = Math.floor((side - height) / 2), left = Math.floor((side - width) / 2);
  for (let c = 0; c < 3; c++) {
    const shift = mean[c] ?? mean[0], scale = std[c] ?? std[0];
    image.fill(((pad.value ?? 0) / 255 - shift) / scale, c * side * side, (c + 1) * side * side);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const to = (c * side + y + (how?.pad ? pad.top : top)) * side + x + (how?.pad ? pad.left : left);
        image[to] = (now.planes[c][y * width + x] / 255 - shift) / scale;
      }
  }
  return { image, note: notes.join(" ") };
}

function planesOf(rgba) {
  const planes = [0, 1, 2].map(() => new Float32Array(rgba.length / 4));
  for (let at = 0; at < planes[0].length; at++) for (let c = 0; c < 3; c++) planes[c][at] = rgba[4 * at + c];
  return planes;
}

function sizeOf(resize, { height, width }) {
  if (resize.size) return resize.size;
  const side = resize.shorter_side;
  return height < width ? [side, Math.floor((side * width) / height)] : [Math.floor((side * height) / width), side];
}

function cut({ planes, height, width }, toHeight, toWidth) {
  const top = Math.round((height - toHeight) / 2), left = Math.round((width - toWidth) / 2);
  return {
    height: toHeight,
    width: toWidth,
    planes: planes.map((plane) => {
      const part = new Float32Array(toHeight * toWidth);
      for (let y = 0; y < toHeight; y++) part.set(plane.subarray((top + y) * width + left, (top + y) * width + left + toWidth), y * toWidth);
      return part;
    }),
  };
}

/** Bilinear with antialiasing, as Pillow and torch do it; rounded to whole values. */
function resized({ planes, height, width }, toHeight, toWidth) {
  const rows = weightsOf(height, toHeight), columns = weightsOf(width, toWidth);
  return {
    height: toHeight,
    width: toWidth,
    planes: planes.map((plane) => {
      const wide = new Float32Array(height * toWidth), out = new Float32Array(toHeight * toWidth);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < toWidth; x++) {
          const { first, weights } = columns[x];
          for (let k = 0; k < weights.length; k++) wide[y * toWidth + x] += weights[k] * plane[y * width + first + k];
        }
      for (let y = 0; y < toHeight; y++) {
        const { first, weights } = rows[y];
        for (let k = 0; k < weights.length; k++)
          for (let x = 0; x < toWidth; x++) out[y * toWidth + x] += weights[k] * wide[(first + k) * toWidth + x];
      }
      return out.map((value) => Math.min(255, Math.max(0, Math.round(value))));
    }),
  };
}

function weightsOf(from, to) {
  const scale = from / to, support = Math.max(scale, 1);
  return Array.from({ length: to }, (_, at) => {
    const centre = (at + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support + 0.5)), end = Math.min(from, Math.floor(centre + support + 0.5));
    const weights = [];
    for (let each = first; each < end; each++) weights.push(Math.max(0, 1 - Math.abs((each + 0.5 - centre) / support)));
    const sum = weights.reduce((a, b) => a + b, 0) || 1;
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}
