/* The node operation: norm, ReLU, 3×3 convolution of each map by its own kernel, padding 1.

   A strip of rows is normed and rectified into a scratch that stays in the first-level cache, with zeros around it and,
   for a step of 2, odd and even columns apart; the convolution then reads it at any lane, without masks. Small maps
   are brought there several at a time, so that no load waits for the store of its neighbours. */

enum { MOST_MAPS = 16 }; /* that one filling of the scratch holds */

/* How the scratch is laid out, in floats: rows of [LANES zeros][part] or, for a step of 2, [LANES zeros][odd][even].
   last: lanes of the last vector that have a column of the map, or of odd columns. */
typedef struct {
    int wide, part;
    ivec last;
} node_scratch;

INLINE node_scratch scratch_of_node(const node_arguments *a) {
    const int part = (a->out_width + LANES - 1) / LANES * LANES;
    if (a->step == 1) return (node_scratch){part + 2 * LANES, part + LANES, first_lanes(a->in_width % LANES)};
    return (node_scratch){2 * part + LANES, part, first_lanes(a->in_width / 2 - part + LANES)};
}

INLINE vec activation(const float *z, vec scale, vec shift) { return relu(load(z) * scale + shift); }

/* Row y of a map, normed and rectified, to its row of the scratch; zeros above and below the map. */
INLINE void fill_row(const node_arguments *a, const float *z, vec scale, vec shift, int y, node_scratch s, float *to) {
    if (y < 0 || y >= a->in_height) {
        for (int x = 0; x < s.wide - LANES; x += LANES) store(to + x, splat(0.0f));
        return;
    }
    const float *row = z + (int64_t)(y & a->in_ring) * a->in_pitch;
    if (a->step == 1) {
        int x = 0;
        for (; x + LANES <= a->in_width; x += LANES) store(to + x, activation(row + x, scale, shift));
        store(to + x, keep(activation(row + x, scale, shift), s.last));
        return;
    }
    for (int x = 0; x < a->out_width; x += LANES) {
        vec even, odd;
        deinterleave(activation(row + 2 * x, scale, shift), activation(row + 2 * x + LANES, scale, shift), &even, &odd);
        store(to + x, x + LANES < a->out_width ? odd : keep(odd, s.last));
        store(to + s.part + x, even);
    }
}

/* Rows [first, end) of output of one map from the scratch, whose first row is the one above. */
INLINE void convolve(const node_arguments *a, int channel, const float *scratch, node_scratch s, float *h, int first,
                     int end, int step) {
    const vec start = splat(a->bias ? a->bias[channel] : 0.0f);
    vec k[9];
    for (int i = 0; i < 9; i++) k[i] = splat(a->kernel[9 * channel + i]);
    const int wide = s.wide, width = a->out_width, mid = step == 1 ? 0 : s.part, right = step == 1 ? 1 : 0;
    for (int y = first; y < end; y++, scratch += step * wide) {
        float *to = h + (int64_t)(y & a->out_ring) * a->out_pitch;
        for (int x = 0; x < width; x += LANES) {
            vec sum = start;
            const float *row = scratch + LANES + x;
            for (int i = 0; i < 3; i++, row += wide) {
                sum += load(row - 1) * k[3 * i];
                sum += load(row + mid) * k[3 * i + 1];
                sum += load(row + right) * k[3 * i + 2];
            }
            store(to + x, sum);
        }
    }
}

/* Instance norm as scale and shift of this map [height][pitch]. */
static void instance_norm(const float *z, int height, int width, int pitch, float eps, float *scale, float *shift) {
    const float pixels = (float)height * (float)width;
    float mean = 0.0f;
    for (int pass = 0; pass < 2; pass++) {
        vec sum = splat(0.0f);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x += LANES) {
                vec value = load(z + y * pitch + x) - splat(mean);
                if (pass) value *= value;
                sum += keep(value, first_lanes(width - x));
            }
        const float average = sum_of_lanes(sum) / pixels;
        if (!pass) {
            mean = average;
            continue;
        }
        *scale /= __builtin_sqrtf(average + eps);
        *shift -= mean * *scale;
    }
}

/* Channels [first, end), few enough for the scratch. */
INLINE void node_of_maps(const node_arguments *a, int first_row, int end_row, int first, int end, node_scratch s,
                         int scratch_rows) {
    float scale[MOST_MAPS], shift[MOST_MAPS];
    for (int channel = first; channel < end; channel++) {
        float *of = &scale[channel - first], *by = &shift[channel - first];
        *of = a->scale[channel], *by = a->shift[channel];
        if (a->instance)
            instance_norm(a->in + channel * a->in_stride, a->in_height, a->in_width, a->in_pitch, a->eps, of, by);
    }
    for (int y = first_row; y < end_row; y += NODE_STRIP) {
        const int stop = y + NODE_STRIP < end_row ? y + NODE_STRIP : end_row;
        const int top = y * a->step - 1, rows = (stop - y - 1) * a->step + 3;
        float *scratch = a->scratch;
        for (int channel = first; channel < end; channel++, scratch += scratch_rows * s.wide) {
            const vec times = splat(scale[channel - first]), plus = splat(shift[channel - first]);
            for (int r = 0; r < rows; r++)
                fill_row(a, a->in + channel * a->in_stride, times, plus, top + r, s, scratch + r * s.wide + LANES);
        }
        scratch = a->scratch;
        for (int channel = first; channel < end; channel++, scratch += scratch_rows * s.wide) {
            float *h = a->out + channel * a->out_stride;
            if (a->step == 1)
                convolve(a, channel, scratch, s, h, y, stop, 1);
            else
                convolve(a, channel, scratch, s, h, y, stop, 2);
        }
    }
}

static void node(const node_arguments *arguments, int first_row, int end_row, int first, int end) {
    /* A copy, so that the compiler need not think that a store changes it. */
    const node_arguments own = *arguments, *a = &own;
    const node_scratch s = scratch_of_node(a);
    const int strip = end_row - first_row < NODE_STRIP ? end_row - first_row : NODE_STRIP, rows = (strip - 1) * a->step + 3;
    const int fit = NODE_FLOATS / (rows * s.wide), maps = fit < 1 ? 1 : fit > MOST_MAPS ? MOST_MAPS : fit;
    for (int r = 0; r < maps * rows; r++) store(a->scratch + r * s.wide, splat(0.0f));
    for (int channel = first; channel < end; channel += maps)
        node_of_maps(a, first_row, end_row, channel, channel + maps < end ? channel + maps : end, s, rows);
}
