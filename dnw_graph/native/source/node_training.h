/* The node operation in training, on [channels][images][height][width] without padding: statistics of the norm, the
   operation, and its gradient, which computes the activations anew instead of keeping them.

   Maps are worked on with images in lanes, in strips of rows that stay in a core's cache. */

/* Mean and biased variance of `length` floats, joined from parts that stay in cache (Chan, Golub, LeVeque 1979). */
static void moments(const float *z, int64_t length, float *mean, float *variance) {
    enum { PART = 2048 };
    double count = 0, average = 0, squares = 0;
    for (int64_t from = 0; from < length; from += PART) {
        const int64_t n = length - from < PART ? length - from : PART;
        const float *part = z + from;
        const double each = 1.0 / (double)n;
        vec sum[4] = {{0}};
        int64_t i = 0;
        for (; i + 4 * LANES <= n; i += 4 * LANES)
            for (int j = 0; j < 4; j++) sum[j] += load(part + i + j * LANES);
        double total = sum_of_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
        for (; i < n; i++) total += part[i];
        /* Around the rounded mean, which the sum of what is left then corrects. */
        const vec centre = splat((float)(total * each));
        vec left[4] = {{0}}, square[4] = {{0}};
        for (i = 0; i + 4 * LANES <= n; i += 4 * LANES)
            for (int j = 0; j < 4; j++) {
                const vec d = load(part + i + j * LANES) - centre;
                left[j] += d, square[j] += d * d;
            }
        double rest = sum_of_lanes((left[0] + left[1]) + (left[2] + left[3]));
        double spread = sum_of_lanes((square[0] + square[1]) + (square[2] + square[3]));
        for (; i < n; i++) {
            const double d = (double)part[i] - centre[0];
            rest += d, spread += d * d;
        }
        spread -= rest * rest * each;
        count += (double)n;
        const double step = centre[0] + rest * each - average, share = from ? (double)n / count : 1.0;
        average += step * share;
        squares += spread + step * step * (count - (double)n) * share;
    }
    const double spread = squares / count;
    *mean = (float)average;
    *variance = (float)(spread < 0 ? 0.0 : spread);
}

static void statistics(const node_maps *a, float *mean, float *variance, int64_t first, int64_t end) {
    const int64_t pixels = (int64_t)a->height * a->width, length = a->per_map ? pixels : pixels * a->images;
    for (int64_t group = first; group < end; group++)
        moments(a->z + group * length, length, mean + group, variance + group);
}

typedef struct {
    vec mean, rstd, scale, shift;
} lane_norm;

/* scale · (z − mean) · rstd + shift, the constants of each lane's image. */
INLINE lane_norm norm_of(const node_maps *a, int64_t channel, int64_t image, int count) {
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

INLINE vec normed(vec z, const lane_norm *n) { return (z - n->mean) * n->rstd; }

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
            store(row + (x + 1) * LANES, relu(normed(load(z + x * LANES), n) * n->scale + n->shift));
    }
}

enum { STRIP_BYTES = 24 * 1024 };

/* Rows of a strip; even, so that a step of 2 begins anew with each. */
static int strip_rows(int height, int width) {
    const int fit = STRIP_BYTES / (int)(sizeof(float) * LANES) / (width + 2) - 2;
    const int rows = fit < 4 ? 4 : fit & ~1;
    return rows < height ? rows : height;
}

static int64_t training_floats(int height, int width) {
    /* Two padded strips with a row above and below, and one without padding. */
    const int64_t rows = strip_rows(height, width) + 2;
    return 3 * rows * (width + 2) * LANES;
}

static void node_forward(const node_maps *a, float *h, int64_t first, int64_t end, float *scratch) {
    const int step = a->step, width = a->width, height = a->height;
    const int out_width = (width + step - 1) / step, out_height = (height + step - 1) / step;
    const int64_t pixels = (int64_t)height * width, out_pixels = (int64_t)out_height * out_width;
    const int rows = strip_rows(height, width), out_rows = rows / step ? rows / step : 1;
    const int64_t part = (int64_t)(rows + 2) * (width + 2) * LANES, pitch = (int64_t)(width + 2) * LANES;
    float *lanes = scratch, *active = scratch + part, *sent = scratch + 2 * part;
    for (int64_t channel = first; channel < end; channel++) {
        vec k[9];
        for (int i = 0; i < 9; i++) k[i] = splat(a->kernel[9 * channel + i]);
        for (int64_t image = 0; image < a->images; image += LANES) {
            const int count = a->images - image < LANES ? (int)(a->images - image) : LANES;
            const lane_norm n = norm_of(a, channel, image, count);
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
                out_of_lanes(sent, out_pixels, count, (int64_t)(stop - y) * out_width,
                             to + (int64_t)y * out_width);
            }
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
} node_sums;

/* What `length` pixels of ∂L/∂(norm's output) become through the norm: slope · (gy − mean of gy − ẑ · mean of gy·ẑ). */
static void through_norm(float *gy, const float *z, int64_t length, float mean, float rstd, float scale,
                         double average, double product) {
    const vec slope = splat(scale * rstd), centre = splat(mean), inverse = splat(rstd);
    const vec constant = splat((float)average), along = splat((float)product);
    int64_t i = 0;
    for (; i + LANES <= length; i += LANES)
        store(gy + i, slope * (load(gy + i) - constant - (load(z + i) - centre) * inverse * along));
    for (; i < length; i++)
        gy[i] = scale * rstd * (gy[i] - (float)average - (z[i] - mean) * rstd * (float)product);
}

static void node_backward(const node_maps *a, const float *g, const node_gradients *to, int64_t first, int64_t end,
                          float *scratch) {
    const int step = a->step, width = a->width, height = a->height;
    const int64_t pixels = (int64_t)height * width;
    const int64_t out_pixels = (int64_t)((height + step - 1) / step) * ((width + step - 1) / step);
    const int rows = strip_rows(height, width);
    const int64_t pitch = (int64_t)(width + 2) * LANES, part = (rows + 2) * pitch;
    float *lanes = scratch, *active = scratch + part, *sent = scratch + 2 * part;
    for (int64_t channel = first; channel < end; channel++) {
        vec k[9];
        for (int i = 0; i < 9; i++) k[i] = splat(a->kernel[9 * channel + i]);
        double all[9] = {0}, shift = 0, scale = 0;
        for (int64_t image = 0; image < a->images; image += LANES) {
            const int count = a->images - image < LANES ? (int)(a->images - image) : LANES;
            const lane_norm n = norm_of(a, channel, image, count);
            const float *z = a->z + (channel * a->images + image) * pixels;
            const float *from = g + (channel * a->images + image) * out_pixels;
            float *gz = to->z + (channel * a->images + image) * pixels;
            node_sums here;
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
            for (int i = 0; i < 9; i++) all[i] += sum_of_lanes(here.kernel[i]);
            shift += sum_of_lanes(here.shift), scale += sum_of_lanes(here.scale);
            if (a->per_map && to->through_statistics)
                for (int i = 0; i < count; i++)
                    through_norm(gz + i * pixels, z + i * pixels, pixels, n.mean[i], n.rstd[i], n.scale[i],
                                 here.shift[i] / (double)pixels, here.scale[i] / (double)pixels);
        }
        for (int i = 0; i < 9; i++) to->kernel[9 * channel + i] = (float)all[i];
        to->shift[channel] = (float)shift, to->scale[channel] = (float)scale;
        if (a->per_map && to->through_statistics) continue;
        /* Of the whole batch, or no statistics at all. */
        const int64_t length = a->per_map ? pixels : pixels * a->images, maps = a->per_map ? a->images : 1;
        const double portion = to->through_statistics ? 1.0 / (double)length : 0.0;
        for (int64_t i = 0; i < maps; i++) {
            const int64_t at = channel * maps + i;
            through_norm(to->z + at * length, a->z + at * length, length, a->mean[at], a->rstd[at], a->scale[channel],
                         shift * portion, scale * portion);
        }
    }
}
