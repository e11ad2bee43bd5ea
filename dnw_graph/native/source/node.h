/* The node operation: norm, ReLU, 3×3 convolution of each map by its own kernel, padding 1.

   Rows are normed into a scratch with zeros around them, a strip at a time so that it stays in the first-level
   cache; the convolution then is nine shifted loads. With step 2 the scratch holds even columns and odd
   columns apart, so that again neighbours are plain shifted loads. */

enum { STRIP = 16 }; /* output rows that are convolved from one filling of the scratch */

/* Floats from one scratch row to the next; one vector of zeros before each part. */
INLINE int scratch_pitch(int width, int step) {
    const int columns = (width + step - 1) / step;
    return step * (LANES + (columns + LANES - 1) / LANES * LANES);
}

INLINE void fill_row(float *row, const float *z, int width, int step, vec scale, vec shift) {
    const int part = scratch_pitch(width, step) / step;
    store(row, splat(0.0f));
    row += LANES;
    if (step == 1) {
        int x = 0;
        for (; x + LANES <= width; x += LANES) store(row + x, relu(load(z + x) * scale + shift));
        if (x < width) store(row + x, keep(relu(load(z + x) * scale + shift), first_lanes(width - x)));
        return;
    }
    store(row - LANES + part, splat(0.0f));
    for (int x = 0; x < width; x += 2 * LANES) {
        vec low = relu(load(z + x) * scale + shift), high = splat(0.0f), even, odd;
        if (x + LANES > width) low = keep(low, first_lanes(width - x));
        if (x + LANES < width) high = relu(load(z + x + LANES) * scale + shift);
        if (x + 2 * LANES > width) high = keep(high, first_lanes(width - x - LANES));
        deinterleave(low, high, &even, &odd);
        store(row + x / 2, even);
        store(row + part + x / 2, odd);
    }
}

/* V neighbouring vectors of the output, all rows of a strip; sums of three rows go along. */
#define CONVOLVE(V)                                                                                           \
    INLINE void convolve_##V(const float *row, int pitch, const vec *k, vec start, float *out, int out_pitch, \
                             int rows) {                                                                      \
        vec above[V], here[V], left, mid, right;                                                              \
        for (int i = 0; i < V; i++) {                                                                         \
            left = load(row + i * LANES - 1), mid = load(row + i * LANES), right = load(row + i * LANES + 1); \
            above[i] = start + left * k[0] + mid * k[1] + right * k[2];                                       \
        }                                                                                                     \
        row += pitch;                                                                                         \
        for (int i = 0; i < V; i++) {                                                                         \
            left = load(row + i * LANES - 1), mid = load(row + i * LANES), right = load(row + i * LANES + 1); \
            above[i] += left * k[3], above[i] += mid * k[4], above[i] += right * k[5];                        \
            here[i] = start + left * k[0] + mid * k[1] + right * k[2];                                        \
        }                                                                                                     \
        for (int y = 0; y < rows; y++) {                                                                      \
            row += pitch;                                                                                     \
            for (int i = 0; i < V; i++) {                                                                     \
                vec next = start;                                                                             \
                left = load(row + i * LANES - 1);                                                             \
                above[i] += left * k[6], here[i] += left * k[3], next += left * k[0];                         \
                mid = load(row + i * LANES);                                                                  \
                above[i] += mid * k[7], here[i] += mid * k[4], next += mid * k[1];                            \
                right = load(row + i * LANES + 1);                                                            \
                above[i] += right * k[8], here[i] += right * k[5], next += right * k[2];                      \
                store(out + y * out_pitch + i * LANES, above[i]);                                             \
                above[i] = here[i], here[i] = next;                                                           \
            }                                                                                                 \
        }                                                                                                     \
    }

CONVOLVE(1)
CONVOLVE(2)

INLINE void convolve_every_other(const float *row, int pitch, const vec *k, vec start, float *out,
                                 int out_pitch, int rows) {
    const float *odd = row + pitch / 2;
    for (int y = 0; y < rows; y++, out += out_pitch, row += 2 * pitch, odd += 2 * pitch) {
        vec sum = start, other = splat(0.0f);
        for (int j = 0; j < 3; j++) {
            sum += load(odd + j * pitch - 1) * k[3 * j];
            other += load(row + j * pitch) * k[3 * j + 1];
            sum += load(odd + j * pitch) * k[3 * j + 2];
        }
        store(out, sum + other);
    }
}

/* Instance norm as scale and shift of this map. */
static void instance_norm(const node_arguments *a, const float *z, float *scale, float *shift) {
    const float pixels = (float)a->in_height * (float)a->in_width;
    float mean = 0.0f;
    for (int pass = 0; pass < 2; pass++) {
        vec sum = splat(0.0f);
        for (int y = 0; y < a->in_height; y++)
            for (int x = 0; x < a->in_width; x += LANES) {
                vec value = load(z + y * a->in_pitch + x) - splat(mean);
                if (pass) value *= value;
                sum += keep(value, first_lanes(a->in_width - x));
            }
        const float average = sum_of_lanes(sum) / pixels;
        if (!pass) {
            mean = average;
            continue;
        }
        *scale /= __builtin_sqrtf(average + a->eps);
        *shift -= mean * *scale;
    }
}

static void node(const node_arguments *a, int first_row, int end_row, int first, int end) {
    const int pitch = scratch_pitch(a->in_width, a->step);
    for (int c = first; c < end; c++) {
        const float *z = a->in + c * a->in_stride;
        float *h = a->out + c * a->out_stride;
        float scale = a->scale[c], shift = a->shift[c];
        if (a->instance) instance_norm(a, z, &scale, &shift);
        const vec times = splat(scale), plus = splat(shift);
        vec k[9];
        for (int i = 0; i < 9; i++) k[i] = splat(a->kernel[9 * c + i]);
        const vec start = splat(a->bias ? a->bias[c] : 0.0f);
        for (int y = first_row; y < end_row; y += STRIP) {
            const int rows = end_row - y < STRIP ? end_row - y : STRIP;
            const int top = y * a->step - 1, filled = (rows - 1) * a->step + 3;
            for (int i = 0; i < filled; i++) {
                float *row = a->scratch + i * pitch;
                if (top + i < 0 || top + i >= a->in_height)
                    memset(row, 0, sizeof(float) * (size_t)pitch);
                else
                    fill_row(row, z + (top + i) * a->in_pitch, a->in_width, a->step, times, plus);
            }
            /* What follows the last row is read as the right neighbour of its last column. */
            store(a->scratch + filled * pitch, splat(0.0f));
            const float *row = a->scratch + LANES;
            float *out = h + y * a->out_pitch;
            int x = 0;
            if (a->step == 1) {
                for (; x + LANES < a->out_width; x += 2 * LANES)
                    convolve_2(row + x, pitch, k, start, out + x, a->out_pitch, rows);
                if (x < a->out_width) convolve_1(row + x, pitch, k, start, out + x, a->out_pitch, rows);
            } else {
                for (; x < a->out_width; x += LANES)
                    convolve_every_other(row + x, pitch, k, start, out + x, a->out_pitch, rows);
            }
        }
    }
}
