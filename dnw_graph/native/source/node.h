/* The node operation: norm, ReLU, 3×3 convolution of each map by its own kernel, padding 1.

   One column of vectors goes down the rows. Each row is normed where it is loaded, three times for the three
   columns of the kernel: cheaper than keeping a normed copy, whose shifted loads would wait for its stores.
   It adds to three sums: the row of output above it, its own, and the one below. */

enum { STRIP = 16 }; /* rows that all columns go down before the next ones: they stay in the first-level cache */

typedef struct {
    vec scale, shift, start, k[9];
    ivec left, right; /* which lanes have a neighbour on that side */
} node_constants;

INLINE vec activation(const float *z, vec scale, vec shift) { return relu(load(z) * scale + shift); }

/* Σ over a row of kernel i of what this row of z gives. */
#define ROW_OF_KERNEL(sum, i) (sum) += left * c->k[3 * (i)], (sum) += mid * c->k[3 * (i) + 1], (sum) += right * c->k[3 * (i) + 2]

/* Output rows [first, end) of one column of vectors; z: its first lane in row 0 of the map. `edges`: it has a lane
   without a neighbour. */
INLINE void go_down(const node_arguments *a, const node_constants *c, const float *z, float *h, int first, int end,
                    int edges) {
    vec above = c->start, here = c->start, below, left, mid, right;
    for (int y = first - 1; y <= end; y++) {
        below = c->start;
        if (y >= 0 && y < a->in_height) {
            const float *row = z + (y & a->in_ring) * a->in_pitch;
            left = activation(row - 1, c->scale, c->shift);
            mid = activation(row, c->scale, c->shift);
            right = activation(row + 1, c->scale, c->shift);
            if (edges) left = keep(left, c->left), right = keep(right, c->right);
            ROW_OF_KERNEL(above, 2);
            ROW_OF_KERNEL(here, 1);
            ROW_OF_KERNEL(below, 0);
        }
        if (y > first) store(h + ((y - 1) & a->out_ring) * a->out_pitch, above);
        above = here, here = below;
    }
}

/* Columns 2x − 1, 2x and 2x + 1 of a row of z, for LANES neighbouring x. */
INLINE void three_columns(const float *row, const node_constants *c, int edges, vec *left, vec *mid, vec *right) {
    vec unused;
    deinterleave(activation(row - 1, c->scale, c->shift), activation(row + LANES - 1, c->scale, c->shift), left,
                 &unused);
    deinterleave(activation(row, c->scale, c->shift), activation(row + LANES, c->scale, c->shift), mid, right);
    if (edges) *left = keep(*left, c->left), *right = keep(*right, c->right);
}

/* The same with a step of 2: of two rows the first adds to one row of output, the second to two. */
INLINE void go_down_by_two(const node_arguments *a, const node_constants *c, const float *z, float *h, int first,
                           int end, int edges) {
    vec here = c->start, below, left, mid, right;
    if (first > 0) {
        three_columns(z + ((2 * first - 1) & a->in_ring) * a->in_pitch, c, edges, &left, &mid, &right);
        ROW_OF_KERNEL(here, 0);
    }
    for (int y = first; y < end; y++) {
        three_columns(z + (2 * y & a->in_ring) * a->in_pitch, c, edges, &left, &mid, &right);
        ROW_OF_KERNEL(here, 1);
        below = c->start;
        if (2 * y + 1 < a->in_height) {
            three_columns(z + ((2 * y + 1) & a->in_ring) * a->in_pitch, c, edges, &left, &mid, &right);
            ROW_OF_KERNEL(here, 2);
            ROW_OF_KERNEL(below, 0);
        }
        store(h + (y & a->out_ring) * a->out_pitch, here);
        here = below;
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
    for (int channel = first; channel < end; channel++) {
        const float *z = a->in + channel * a->in_stride;
        float *h = a->out + channel * a->out_stride;
        float scale = a->scale[channel], shift = a->shift[channel];
        if (a->instance) instance_norm(a, z, &scale, &shift);
        node_constants c = {splat(scale), splat(shift), splat(a->bias ? a->bias[channel] : 0.0f), {{0}}, {0}, {0}};
        for (int i = 0; i < 9; i++) c.k[i] = splat(a->kernel[9 * channel + i]);
        for (int y = first_row; y < end_row; y += STRIP) {
            const int stop = y + STRIP < end_row ? y + STRIP : end_row;
            for (int x = 0; x < a->out_width; x += LANES) {
                /* Of output x, the right neighbour is column x + 1, or 2x + 1 with a step of 2. */
                const int with_right = a->step == 1 ? a->in_width - 1 - x : a->in_width / 2 - x;
                const int edges = x == 0 || with_right < LANES;
                c.left = x ? ~(ivec){0} : ~first_lanes(1);
                c.right = first_lanes(with_right);
                if (a->step == 1)
                    edges ? go_down(a, &c, z + x, h + x, y, stop, 1) : go_down(a, &c, z + x, h + x, y, stop, 0);
                else
                    edges ? go_down_by_two(a, &c, z + 2 * x, h + x, y, stop, 1)
                          : go_down_by_two(a, &c, z + 2 * x, h + x, y, stop, 0);
            }
        }
    }
}
