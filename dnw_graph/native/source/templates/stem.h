/* The stem's ordinary 3×3 convolution, padding 1, from the images themselves. */

enum { STEM_STRIP = 4 }; /* output rows that are convolved from one filling of the scratch */

/* C channels and V vectors of one output row. taps: where each of the `count` products reads. */
#define STEM_TILE(C, V)                                                                                       \
    static void stem_##C##_##V(const stem_arguments *a, const int32_t *taps, int count, const float *from,    \
                               float *out, int channel) {                                                     \
        vec sum[C][V];                                                                                        \
        for (int c = 0; c < C; c++)                                                                           \
            for (int i = 0; i < V; i++) sum[c][i] = splat(a->bias ? a->bias[channel + c] : 0.0f);             \
        const float *weight = a->weight + (int64_t)channel * count;                                           \
        for (int t = 0; t < count; t++) {                                                                     \
            vec value[V];                                                                                     \
            for (int i = 0; i < V; i++) value[i] = load(from + taps[t] + i * LANES);                          \
            for (int c = 0; c < C; c++) {                                                                     \
                const vec times = splat(weight[c * count + t]);                                               \
                for (int i = 0; i < V; i++) sum[c][i] += times * value[i];                                    \
            }                                                                                                 \
        }                                                                                                     \
        for (int c = 0; c < C; c++)                                                                           \
            for (int i = 0; i < V; i++)                                                                       \
                store(out + (channel + c) * a->out_stride + i * LANES,                                        \
                      a->rectify ? relu(sum[c][i]) : sum[c][i]);                                              \
    }

#define STEM_TILES(C) STEM_TILE(C, 1) STEM_TILE(C, 2) STEM_TILE(C, 3)

STEM_TILES(4)
STEM_TILES(2)
STEM_TILES(1)

typedef void stem_tile(const stem_arguments *, const int32_t *, int, const float *, float *, int);

static stem_tile *const TILES_OF_STEM[5][4] = {
    [1] = {0, stem_1_1, stem_1_2, stem_1_3}, [2] = {0, stem_2_1, stem_2_2, stem_2_3}, [4] = {0, stem_4_1, stem_4_2, stem_4_3}};

/* Floats from one scratch row to the next; one vector of zeros before each part. */
INLINE int scratch_pitch(int width, int step) {
    const int columns = (width + step - 1) / step;
    return step * (LANES + (columns + LANES - 1) / LANES * LANES);
}

/* One row of an image, with a zero on either side; even and odd columns apart where the step is 2. */
static void copy_row(float *row, const float *pixels, int width, int step) {
    const int pitch = scratch_pitch(width, step), part = pitch / step;
    memset(row, 0, sizeof(float) * (size_t)pitch);
    row += LANES;
    if (step == 1) {
        memcpy(row, pixels, sizeof(float) * (size_t)width);
        return;
    }
    int x = 0;
    for (; x + 2 * LANES <= width; x += 2 * LANES) {
        vec even, odd;
        deinterleave(load(pixels + x), load(pixels + x + LANES), &even, &odd);
        store(row + x / 2, even);
        store(row + part + x / 2, odd);
    }
    for (; x < width; x++) row[(x & 1) * part + x / 2] = pixels[x];
}

static void stem(const stem_arguments *a, int first_row, int end_row, int first, int end) {
    enum { MOST_CHANNELS = 16 };
    const int pitch = scratch_pitch(a->in_width, a->step), part = pitch / a->step;
    const int count = 9 * a->in_channels, vectors = (a->out_width + LANES - 1) / LANES;
    int32_t taps[9 * MOST_CHANNELS];
    const int most_rows = (STEM_STRIP - 1) * a->step + 3;
    for (int t = 0; t < count; t++) {
        const int row = t / 9 * most_rows + t % 9 / 3, column = t % 3;
        /* Columns 2x − 1 and 2x + 1 are numbers x − 1 and x of the odd ones, 2x is number x of the even ones. */
        const int at = a->step == 1 ? column - 1 : column == 1 ? 0 : column == 0 ? part - 1 : part;
        taps[t] = row * pitch + LANES + at;
    }
    for (int y = first_row; y < end_row; y += STEM_STRIP) {
        const int rows = end_row - y < STEM_STRIP ? end_row - y : STEM_STRIP;
        const int top = y * a->step - 1, filled = (rows - 1) * a->step + 3;
        for (int channel = 0; channel < a->in_channels; channel++) {
            float *row = a->scratch + channel * most_rows * pitch;
            for (int i = 0; i < filled; i++, row += pitch) {
                if (top + i < 0 || top + i >= a->in_height)
                    memset(row, 0, sizeof(float) * (size_t)pitch);
                else
                    copy_row(row, a->images + ((int64_t)channel * a->in_height + top + i) * a->in_width,
                             a->in_width, a->step);
            }
            /* The last column's right neighbour is the zero that the next row begins with. */
            memset(row, 0, sizeof(float) * LANES);
        }
        for (int r = 0; r < rows; r++) {
            const float *from = a->scratch + r * a->step * pitch;
            float *out = a->out + ((y + r) & a->out_ring) * a->out_pitch;
            for (int c = first; c < end;) {
                const int channels = c + 4 <= end ? 4 : c + 2 <= end ? 2 : 1;
                for (int v = 0; v < vectors;) {
                    /* 4 are 2 and 2, not 3 and 1. */
                    const int left = vectors - v, wide = left == 4 ? 2 : left < 3 ? left : 3;
                    TILES_OF_STEM[channels][wide](a, taps, count, from + v * LANES, out + v * LANES, c);
                    v += wide;
                }
                c += channels;
            }
        }
    }
}
