/* Products of edges with plain matrices [nodes][columns], for the operator. Their rows often lie a power of two apart,
   where all sources of a tile would fall into the same few sets of a cache: tiles are packed first, as many as the
   second-level cache holds, so that a source's row is read in a long piece. */

enum { PACKED = PACKED_BYTES / (int)sizeof(float), FIRST_LEVEL = 32 * 1024 / (int)sizeof(float) };
enum { TARGETS_AHEAD = 4 }; /* fetched meanwhile: their rows lie too far apart for the processor to guess */

/* Columns that are packed at a time: whole tiles, one at least. */
INLINE int64_t packed_columns(int64_t rows, int wide) {
    const int64_t tiles = rows ? PACKED / (rows * wide) : 1;
    return (tiles < 1 ? 1 : tiles) * wide;
}

/* Packs columns of a matrix as tiles [tile][row][wide], the last filled up with zeros. */
INLINE void pack(const pieces *from, int64_t rows, int64_t columns, int64_t column, int64_t count, int wide,
                 float *packed) {
    const int64_t whole = count / wide, left = count % wide;
    float *last = packed + whole * rows * wide;
    if (left) memset(last, 0, sizeof(float) * (size_t)(rows * wide));
    for (int64_t s = 0; s < rows; s++) {
        const float *row = row_of(from, s, columns) + column;
        for (int64_t tile = 0; tile < whole; tile++)
            memcpy(packed + (tile * rows + s) * wide, row + tile * wide, sizeof(float) * (size_t)wide);
        if (left) memcpy(last + s * wide, row + whole * wide, sizeof(float) * (size_t)left);
    }
}

#define PRODUCT(N)                                                                                            \
    static void product_##N(const product_arguments *a, int64_t column, int64_t count, int64_t first,         \
                            int64_t end, const float *tile) {                                                 \
        enum { WIDE = N * LANES };                                                                            \
        const size_t bytes = sizeof(float) * (size_t)(count < WIDE ? count : WIDE);                           \
        for (int64_t t = first; t < end; t++) {                                                               \
            float *to = row_of(&a->targets, t, a->columns) + column;                                          \
            if (t + TARGETS_AHEAD < end) {                                                                    \
                const float *later = row_of(&a->targets, t + TARGETS_AHEAD, a->columns) + column;             \
                for (int i = 0; i < N; i += 64 / (4 * LANES)) __builtin_prefetch(later + i * LANES, 1);       \
            }                                                                                                 \
            float part[WIDE];                                                                                 \
            vec sum[N];                                                                                       \
            for (int i = 0; i < N; i++) sum[i] = splat(0.0f);                                                 \
            if (a->add) {                                                                                     \
                if (count < WIDE) memset(part, 0, sizeof part), memcpy(part, to, bytes);                      \
                for (int i = 0; i < N; i++) sum[i] = load((count < WIDE ? part : to) + i * LANES);            \
            }                                                                                                 \
            for (int64_t e = a->pointer[t]; e < a->pointer[t + 1]; e++) {                                     \
                const float *from = tile + a->source[e] * WIDE;                                               \
                ONE_ADDRESS(from);                                                                            \
                const vec weight = splat(a->value[e]);                                                        \
                for (int i = 0; i < N; i++) sum[i] += weight * load(from + i * LANES);                        \
            }                                                                                                 \
            if (count >= WIDE) {                                                                              \
                for (int i = 0; i < N; i++) store(to + i * LANES, sum[i]);                                    \
            } else {                                                                                          \
                for (int i = 0; i < N; i++) store(part + i * LANES, sum[i]);                                  \
                memcpy(to, part, bytes);                                                                      \
            }                                                                                                 \
        }                                                                                                     \
    }

PRODUCT(1)
PRODUCT(2)
PRODUCT(3)
PRODUCT(4)
PRODUCT(5)
PRODUCT(6)
PRODUCT(7)
PRODUCT(8)

typedef void product_of_tile(const product_arguments *, int64_t, int64_t, int64_t, int64_t, const float *);

static product_of_tile *const PRODUCTS[] = {0,         product_1, product_2, product_3, product_4,
                                            product_5, product_6, product_7, product_8};

/* Vectors of a tile. A wide one reads edges less often, a narrow one stays in a nearer cache; of few columns all
   tiles shall be full. */
INLINE int tile_vectors(int64_t num_sources, int64_t columns) {
    const int64_t vectors = (columns + LANES - 1) / LANES, row = num_sources * LANES;
    int most = 2;
    if (8 * row <= FIRST_LEVEL || (vectors <= 8 && vectors * row <= PACKED))
        most = 8;
    else if (5 * row <= PACKED)
        most = vectors <= 32 ? 5 : 4;
    int best = 1;
    for (int n = 2; n <= most; n++)
        if ((vectors + n - 1) / n * (n + 1) <= (vectors + best - 1) / best * (best + 1)) best = n;
    return best;
}

static void product(const product_arguments *a, int64_t first, int64_t end, int64_t first_target, int64_t end_target,
                    float *packed) {
    const int vectors = tile_vectors(a->num_sources, end - first), wide = vectors * LANES;
    const int64_t step = packed_columns(a->num_sources, wide);
    for (int64_t column = first; column < end; column += step) {
        const int64_t stop = end - column < step ? end : column + step;
        pack(&a->sources, a->num_sources, a->columns, column, stop - column, wide, packed);
        const float *tile = packed;
        for (int64_t at = column; at < stop; at += wide, tile += a->num_sources * wide)
            PRODUCTS[vectors](a, at, stop - at, first_target, end_target, tile);
    }
}

/* out[e] = Σ over columns of g[target of e] · h[source of e]. A target's edges go by while a tile of its row is in
   registers; `sums` holds a vector for each, which stays in the first-level cache from tile to tile. */
static void edge_products(const edge_arguments *a, int64_t first, int64_t end, float *packed, float *sums) {
    enum { N = 8, WIDE = N * LANES };
    const int64_t begin = a->pointer[first], step = packed_columns(a->num_sources, WIDE);
    const pieces h = {(float *)a->h, (float *)a->h, a->num_sources};
    memset(sums, 0, sizeof(float) * LANES * (size_t)(a->pointer[end] - begin));
    for (int64_t column = 0; column < a->columns; column += step) {
        const int64_t count = a->columns - column < step ? a->columns - column : step;
        pack(&h, a->num_sources, a->columns, column, count, WIDE, packed);
        for (int64_t t = first; t < end; t++) {
            const float *row = row_of(&a->g, t, a->columns) + column, *tile = packed;
            if (a->pointer[t] == a->pointer[t + 1]) continue;
            for (int64_t left = count; left > 0; left -= WIDE, row += WIDE, tile += a->num_sources * WIDE) {
                float part[WIDE] = {0};
                if (left < WIDE) memcpy(part, row, sizeof(float) * (size_t)left);
                vec g[N];
                for (int i = 0; i < N; i++) g[i] = load((left < WIDE ? part : row) + i * LANES);
                for (int64_t e = a->pointer[t]; e < a->pointer[t + 1]; e++) {
                    const float *from = tile + a->source[e] * WIDE;
                    ONE_ADDRESS(from);
                    float *sum = sums + (e - begin) * LANES;
                    vec even = load(sum), odd = g[1] * load(from + LANES);
                    for (int i = 0; i < N; i += 2) even += g[i] * load(from + i * LANES);
                    for (int i = 3; i < N; i += 2) odd += g[i] * load(from + i * LANES);
                    store(sum, even + odd);
                }
            }
        }
    }
    for (int64_t e = begin; e < a->pointer[end]; e++) a->out[e] = sum_of_lanes(load(sums + (e - begin) * LANES));
}
