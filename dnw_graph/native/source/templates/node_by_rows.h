/* The node operation in training with pixels of a row in lanes, for maps whose rows are whole vectors and a step of 1:
   they are worked on as they lie instead of being turned around, small ones in a core's nearest cache. */

#if LANES == 8
#define ONE_BEFORE 7, 8, 9, 10, 11, 12, 13, 14
#define ONE_AFTER 1, 2, 3, 4, 5, 6, 7, 8
#else
#define ONE_BEFORE 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
#define ONE_AFTER 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#endif

typedef struct {
    vec left, here, right;
} neighbours;

/* Vector x of a row of n, and the pixels on both sides of each of its own: 0 beyond the row. */
INLINE neighbours neighbours_of(const float *row, int x, int n) {
    const vec zero = {0}, here = load(row + (int64_t)x * LANES);
    const vec before = x ? load(row + (int64_t)(x - 1) * LANES) : zero;
    const vec after = x + 1 < n ? load(row + (int64_t)(x + 1) * LANES) : zero;
    return (neighbours){__builtin_shufflevector(before, here, ONE_BEFORE), here,
                        __builtin_shufflevector(here, after, ONE_AFTER)};
}

INLINE vec three(const vec *k, const neighbours *v) { return k[0] * v->left + k[1] * v->here + k[2] * v->right; }

/* The 3×3 convolution of a map of rows of n vectors. Each row is read once, for the three that hear it. */
INLINE void convolve_map(const float *from, int height, int n, const vec k[9], float *to) {
    const int64_t pitch = (int64_t)n * LANES;
    for (int x = 0; x < n; x++) {
        float *out = to + (int64_t)x * LANES;
        neighbours v = neighbours_of(from, x, n);
        vec above = three(k + 3, &v), here = three(k, &v);
        for (int y = 1; y < height; y++) {
            v = neighbours_of(from + y * pitch, x, n);
            store(out + (y - 1) * pitch, above + three(k + 6, &v));
            above = here + three(k + 3, &v), here = three(k, &v);
        }
        store(out + (height - 1) * pitch, above);
    }
}

/* Adds Σ over pixels of g · what the convolution read there, for the nine places of its kernel. */
INLINE void kernel_gradient(const float *active, const float *g, int height, int n, vec kernel[9]) {
    const int64_t pitch = (int64_t)n * LANES;
    for (int x = 0; x < n; x++) {
        const float *sent = g + (int64_t)x * LANES;
        /* Sums of columns are added to those of maps: long chains of additions lose digits. */
        vec sum[9] = {{0}};
        vec above = {0}, here = load(sent);
        for (int y = 0; y < height; y++) {
            const neighbours v = neighbours_of(active + y * pitch, x, n);
            const vec below = y + 1 < height ? load(sent + (y + 1) * pitch) : (vec){0};
            sum[0] += below * v.left, sum[1] += below * v.here, sum[2] += below * v.right;
            sum[3] += here * v.left, sum[4] += here * v.here, sum[5] += here * v.right;
            sum[6] += above * v.left, sum[7] += above * v.here, sum[8] += above * v.right;
            above = here, here = below;
        }
        for (int i = 0; i < 9; i++) kernel[i] += sum[i];
    }
}

static int64_t rows_floats(int height, int width) { return (int64_t)height * width; }

INLINE lane_norm norm_of_map(const node_maps *a, int64_t channel, int64_t image) {
    const int64_t group = a->per_map ? channel * a->images + image : channel;
    return (lane_norm){splat(a->mean[group]), splat(a->rstd[group]), splat(a->scale[channel]),
                       splat(a->shift[channel])};
}

INLINE void activations(const float *z, const lane_norm *n, int64_t pixels, float *to) {
    for (int64_t i = 0; i < pixels; i += LANES) store(to + i, activated(load(z + i), n));
}

INLINE void rows_forward_of(const node_maps *a, int64_t channel, int n, float *h, float *active) {
    const int64_t pixels = (int64_t)a->height * a->width;
    vec k[9];
    for (int i = 0; i < 9; i++) k[i] = splat(a->kernel[9 * channel + i]);
    for (int64_t image = 0; image < a->images; image++) {
        const int64_t map = (channel * a->images + image) * pixels;
        const lane_norm norm = norm_of_map(a, channel, image);
        activations(a->z + map, &norm, pixels, active);
        convolve_map(active, a->height, n, k, h + map);
    }
}

static void rows_forward(const node_maps *a, int64_t channel, float *h, float *scratch) {
    if (a->width == LANES)
        rows_forward_of(a, channel, 1, h, scratch);
    else
        rows_forward_of(a, channel, a->width / LANES, h, scratch);
}

enum { ADDED_AT_ONCE = 16 * LANES }; /* pixels whose sums stay in lanes */

/* ∂L/∂(norm's output) of a map, from that to the activations in `gz`, and what its sums have in each lane. */
INLINE void through_relu(const float *active, const float *z, const lane_norm *n, int64_t pixels, float *gz, vec *shift,
                         vec *scale) {
    *shift = *scale = (vec){0};
    for (int64_t first = 0; first < pixels; first += ADDED_AT_ONCE) {
        const int64_t end = pixels - first < ADDED_AT_ONCE ? pixels : first + ADDED_AT_ONCE;
        vec shifts = {0}, scales = {0};
        for (int64_t p = first; p < end; p += LANES) {
            const vec gy = (vec)((ivec)load(gz + p) & ~(load(active + p) <= splat(0.0f)));
            shifts += gy;
            scales += gy * normed(load(z + p), n);
            store(gz + p, gy);
        }
        *shift += shifts, *scale += scales;
    }
}

/* LANES maps at a time: a map's sums are known long before they are needed. */
INLINE void rows_backward_of(const node_maps *a, int64_t channel, int n, const float *g, const node_gradients *to,
                             node_sums *sums, float *active) {
    const int64_t pixels = (int64_t)a->height * a->width;
    vec turned[9];
    for (int i = 0; i < 9; i++) turned[i] = splat(a->kernel[9 * channel + 8 - i]);
    for (int64_t image = 0; image < a->images; image += LANES) {
        const int count = a->images - image < LANES ? (int)(a->images - image) : LANES;
        const int64_t maps = (channel * a->images + image) * pixels;
        const float *z = a->z + maps;
        float *gz = to->z + maps;
        vec kernel[9] = {{0}}, shift[LANES] = {{0}}, scale[LANES] = {{0}};
        for (int i = 0; i < count; i++) {
            const lane_norm norm = norm_of_map(a, channel, image + i);
            activations(z + i * pixels, &norm, pixels, active);
            kernel_gradient(active, g + maps + i * pixels, a->height, n, kernel);
            convolve_map(g + maps + i * pixels, a->height, n, turned, gz + i * pixels);
            through_relu(active, z + i * pixels, &norm, pixels, gz + i * pixels, shift + i, scale + i);
        }
        for (int i = 0; i < 9; i++) sums->kernel[i] += sum_of_lanes(kernel[i]);
        transpose(shift), transpose(scale);
        for (int i = 1; i < LANES; i++) shift[0] += shift[i], scale[0] += scale[i];
        sums->shift += sum_of_lanes(shift[0]), sums->scale += sum_of_lanes(scale[0]);
        if (!a->per_map || !to->through_statistics) continue;
        const vec average = shift[0] / splat((float)pixels), product = scale[0] / splat((float)pixels);
        for (int i = 0; i < count; i++) {
            const int64_t map = channel * a->images + image + i;
            through_norm(gz + i * pixels, z + i * pixels, pixels, a->mean[map], a->rstd[map], a->scale[channel],
                         average[i], product[i]);
        }
    }
}

static void rows_backward(const node_maps *a, int64_t channel, const float *g, const node_gradients *to,
                          node_sums *sums, float *scratch) {
    if (a->width == LANES)
        rows_backward_of(a, channel, 1, g, to, sums, scratch);
    else
        rows_backward_of(a, channel, a->width / LANES, g, to, sums, scratch);
}
