/* The node operation in training with images in lanes, for maps of any width and step, in strips of rows that stay in
   a core's cache. */

/* scale · (z − mean) · rstd + shift, the constants of each lane's image. */
INLINE lane_norm norm_of_images(const node_maps *a, int64_t channel, int64_t image, int count) {
    lane_norm n = {splat(0.0f), splat(0.0f), splat(a->scale[channel]), splat(a->shift[channel])};
    if (!a->per_map) {
        n.mean = splat(a->mean[channel]), n.rstd = splat(a->rstd[channel]);
        return n;
    }
    float mean[LANES] = {0}, rstd[LANES] = {0};
    for (int i = 0; i < count; i++) {
        mean[i] = a->mean[channel * a->images + image + i];
        rstd[i] = a->rstd[channel * a->images + image + i];
    }
    n.mean = load(mean), n.rstd = load(rstd);
    return n;
}

/* Rows [first, end) of `maps`, seen as a padded map of `width` + 2 columns that begins at row `top`: normed and
   rectified. Rows outside of the map and the two border columns are 0. */
INLINE void padded_activations(const float *lanes, const lane_norm *n, int top, int rows, int first, int end, int width,
                               float *to) {
    const int64_t pitch = (int64_t)(width + 2) * LANES;
    const vec zero = splat(0.0f);
    for (int r = 0; r < rows; r++) {
        float *row = to + r * pitch;
        const int y = top + r;
        if (y < first || y >= end) {
            memset(row, 0, sizeof(float) * (size_t)pitch);
            continue;
        }
        const float *z = lanes + (int64_t)(y - first) * width * LANES;
        store(row, zero), store(row + pitch - LANES, zero);
        for (int x = 0; x < width; x++)
            store(row + (x + 1) * LANES, activated(load(z + x * LANES), n));
    }
}

enum { STRIP_BYTES = 24 * 1024 };

/* Rows of a strip; even, so that a step of 2 begins anew with each. */
static int strip_rows(int height, int width) {
    const int fit = STRIP_BYTES / (int)(sizeof(float) * LANES) / (width + 2) - 2;
    const int rows = fit < 4 ? 4 : fit & ~1;
    return rows < height ? rows : height;
}

static int64_t images_floats(int height, int width) {
    /* Two padded strips with a row above and below, and one without padding. */
    const int64_t rows = strip_rows(height, width) + 2;
    return 3 * rows * (width + 2) * LANES;
}

static void images_forward(const node_maps *a, int64_t channel, float *h, float *scratch) {
    const int step = a->step, width = a->width, height = a->height;
    const int out_width = (width + step - 1) / step, out_height = (height + step - 1) / step;
    const int64_t pixels = (int64_t)height * width, out_pixels = (int64_t)out_height * out_width;
    const int rows = strip_rows(height, width), out_rows = rows / step ? rows / step : 1;
    const int64_t part = (int64_t)(rows + 2) * (width + 2) * LANES, pitch = (int64_t)(width + 2) * LANES;
    float *lanes = scratch, *active = scratch + part, *sent = scratch + 2 * part;
    vec k[9];
    for (int i = 0; i < 9; i++) k[i] = splat(a->kernel[9 * channel + i]);
    for (int64_t image = 0; image < a->images; image += LANES) {
        const int count = a->images - image < LANES ? (int)(a->images - image) : LANES;
        const lane_norm n = norm_of_images(a, channel, image, count);
        const float *z = a->z + (channel * a->images + image) * pixels;
        float *to = h + (channel * a->images + image) * out_pixels;
        for (int y = 0; y < out_height; y += out_rows) {
            const int stop = y + out_rows < out_height ? y + out_rows : out_height;
            const int top = y * step - 1, bottom = (stop - 1) * step + 2;
            const int from = top < 0 ? 0 : top, until = bottom < height ? bottom : height;
            into_lanes(z + (int64_t)from * width, pixels, count, (int64_t)(until - from) * width, lanes);
            padded_activations(lanes, &n, top, bottom - top, from, until, width, active);
            for (int oy = y; oy < stop; oy++)
                for (int ox = 0; ox < out_width; ox++) {
                    const float *corner = active + (oy - y) * step * pitch + (int64_t)ox * step * LANES;
                    vec sum = k[0] * load(corner);
                    for (int i = 1; i < 9; i++) sum += k[i] * load(corner + i / 3 * pitch + i % 3 * LANES);
                    store(sent + ((int64_t)(oy - y) * out_width + ox) * LANES, sum);
                }
            out_of_lanes(sent, out_pixels, count, (int64_t)(stop - y) * out_width, to + (int64_t)y * out_width);
        }
    }
}

/* Rows [top, top + rows) of g, with zeros between its pixels where the step is 2, padded. */
INLINE void padded_gradient(const float *g, int64_t stride, int count, int step, int top, int rows, int height,
                            int width, float *lanes, float *to) {
    const int out_width = (width + step - 1) / step, out_height = (height + step - 1) / step;
    const int64_t pitch = (int64_t)(width + 2) * LANES;
    const int first = top < 0 ? 0 : (top + step - 1) / step, bottom = (top + rows + step - 1) / step;
    const int end = bottom < out_height ? bottom : out_height;
    memset(to, 0, sizeof(float) * (size_t)(rows * pitch));
    if (end <= first) return;
    into_lanes(g + (int64_t)first * out_width, stride, count, (int64_t)(end - first) * out_width, lanes);
    for (int y = first; y < end; y++)
        for (int x = 0; x < out_width; x++)
            store(to + (y * step - top) * pitch + (int64_t)(x * step + 1) * LANES,
                  load(lanes + ((int64_t)(y - first) * out_width + x) * LANES));
}

typedef struct {
    vec kernel[9], shift, scale;
} lane_sums;

static void images_backward(const node_maps *a, int64_t channel, const float *g, const node_gradients *to,
                            node_sums *sums, float *scratch) {
    const int step = a->step, width = a->width, height = a->height;
    const int64_t pixels = (int64_t)height * width;
    const int64_t out_pixels = (int64_t)((height + step - 1) / step) * ((width + step - 1) / step);
    const int rows = strip_rows(height, width);
    const int64_t pitch = (int64_t)(width + 2) * LANES, part = (rows + 2) * pitch;
    float *lanes = scratch, *active = scratch + part, *sent = scratch + 2 * part;
    vec k[9];
    for (int i = 0; i < 9; i++) k[i] = splat(a->kernel[9 * channel + i]);
    for (int64_t image = 0; image < a->images; image += LANES) {
        const int count = a->images - image < LANES ? (int)(a->images - image) : LANES;
        const lane_norm n = norm_of_images(a, channel, image, count);
        const float *z = a->z + (channel * a->images + image) * pixels;
        const float *from = g + (channel * a->images + image) * out_pixels;
        float *gz = to->z + (channel * a->images + image) * pixels;
        lane_sums here;
        memset(&here, 0, sizeof here);
        for (int y = 0; y < height; y += rows) {
            const int stop = y + rows < height ? y + rows : height, tall = stop - y + 2;
            const int top = y ? y - 1 : 0, bottom = stop < height ? stop + 1 : height;
            padded_gradient(from, out_pixels, count, step, y - 1, tall, height, width, lanes, sent);
            into_lanes(z + (int64_t)top * width, pixels, count, (int64_t)(bottom - top) * width, lanes);
            padded_activations(lanes, &n, y - 1, tall, top, bottom, width, active);
            /* Sums of rows and strips are added to those of maps: long chains of additions lose digits. */
            vec sum[9] = {{0}};
            for (int r = 0; r < stop - y; r += step)
                for (int x = 0; x < width; x += step) {
                    const vec value = load(sent + (r + 1) * pitch + (x + 1) * LANES);
                    const float *corner = active + r * pitch + (int64_t)x * LANES;
                    for (int i = 0; i < 9; i++) sum[i] += value * load(corner + i / 3 * pitch + i % 3 * LANES);
                }
            for (int i = 0; i < 9; i++) here.kernel[i] += sum[i];
            const float *raw = lanes + (int64_t)(y - top) * width * LANES;
            float *out = lanes + (int64_t)(y - top) * width * LANES;
            for (int r = 0; r < stop - y; r++) {
                vec shift = {0}, scale = {0};
                for (int x = 0; x < width; x++) {
                    const float *corner = sent + r * pitch + (int64_t)x * LANES;
                    vec gy = k[8] * load(corner);
                    for (int i = 1; i < 9; i++) gy += k[8 - i] * load(corner + i / 3 * pitch + i % 3 * LANES);
                    const vec seen = load(active + (r + 1) * pitch + (int64_t)(x + 1) * LANES);
                    gy = (vec)((ivec)gy & ~(seen <= splat(0.0f)));
                    const int64_t at = ((int64_t)r * width + x) * LANES;
                    shift += gy;
                    scale += gy * normed(load(raw + at), &n);
                    store(out + at, gy);
                }
                here.shift += shift, here.scale += scale;
            }
            out_of_lanes(out, pixels, count, (int64_t)(stop - y) * width, gz + (int64_t)y * width);
        }
        for (int i = 0; i < 9; i++) sums->kernel[i] += sum_of_lanes(here.kernel[i]);
        sums->shift += sum_of_lanes(here.shift), sums->scale += sum_of_lanes(here.scale);
        if (a->per_map && to->through_statistics)
            for (int i = 0; i < count; i++)
                through_norm(gz + i * pixels, z + i * pixels, pixels, n.mean[i], n.rstd[i], n.scale[i],
                             here.shift[i] / (double)pixels, here.scale[i] / (double)pixels);
    }
}
