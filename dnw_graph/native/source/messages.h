/* Message passing: z_t = what is there already + Σ over incoming edges of weight · h_source.

   A tile of N vectors of pixels stays in registers while a target's edges go by: one broadcast and N
   fused multiply-adds with a memory operand for each edge. */

#define TILE(N)                                                                                               \
    INLINE void tile_##N(const edge *e, const edge *end, const float *h, float *z, float start,               \
                         const float *base, const float *carried) {                                           \
        vec sum[N];                                                                                           \
        for (int i = 0; i < N; i++) sum[i] = splat(start);                                                    \
        if (base)                                                                                             \
            for (int i = 0; i < N; i++) sum[i] += load(base + i * LANES);                                     \
        if (carried)                                                                                          \
            for (int i = 0; i < N; i++) sum[i] += load(carried + i * LANES);                                  \
        for (; e < end; e++) {                                                                                \
            const float *from = h + e->offset;                                                                \
            ONE_ADDRESS(from);                                                                                \
            const vec weight = splat(e->weight);                                                              \
            for (int i = 0; i < N; i++) sum[i] += weight * load(from + i * LANES);                            \
        }                                                                                                     \
        for (int i = 0; i < N; i++) store(z + i * LANES, sum[i]);                                             \
    }                                                                                                         \
    static void targets_##N(const messages_arguments *a, int64_t pixel, int first, int end) {                 \
        for (int t = first; t < end; t++)                                                                     \
            tile_##N(a->edges + a->pointer[t], a->edges + a->pointer[t + 1], a->sources + pixel,              \
                     a->targets + t * a->target_stride + pixel, a->bias ? a->bias[t] : 0.0f,                  \
                     a->base && a->base_row[t] >= 0 ? a->base + a->base_row[t] * a->base_stride + pixel : 0,   \
                     a->carry && a->carry[t] >= 0 ? a->carried + a->carry[t] * a->carried_stride + pixel : 0); \
    }

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
#if TILE_MAX > 7
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
TILE(13)
TILE(14)
#endif

typedef void targets_of_tile(const messages_arguments *, int64_t, int, int);

static targets_of_tile *const TILES[] = {
    0,         targets_1, targets_2, targets_3, targets_4, targets_5, targets_6, targets_7,
#if TILE_MAX > 7
    targets_8, targets_9, targets_10, targets_11, targets_12, targets_13, targets_14,
#endif
};

static void messages(const messages_arguments *a, int64_t first_pixel, int64_t end_pixel, int first, int end) {
    const int64_t vectors = (end_pixel - first_pixel) / LANES;
    const int wanted = a->tile / LANES, most = wanted < 1 ? 1 : wanted > TILE_MAX ? TILE_MAX : wanted;
    const int64_t tiles = (vectors + most - 1) / most;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t from = vectors * i / tiles, to = vectors * (i + 1) / tiles;
        TILES[to - from](a, first_pixel + from * LANES, first, end);
    }
}

/* The same on plain matrices [nodes, columns], for the operator: the last columns one by one. */
static void product(const product_arguments *a, int64_t targets, int64_t first, int64_t end) {
    enum { N = TILE_MAX > 7 ? 8 : 4 };
    int64_t column = first;
    for (; column + N * LANES <= end; column += N * LANES)
        for (int64_t t = 0; t < targets; t++) {
            vec sum[N];
            for (int i = 0; i < N; i++) sum[i] = splat(0.0f);
            for (int64_t e = a->pointer[t]; e < a->pointer[t + 1]; e++) {
                const float *from = a->sources + a->source[e] * a->columns + column;
                ONE_ADDRESS(from);
                const vec weight = splat(a->value[e]);
                for (int i = 0; i < N; i++) sum[i] += weight * load(from + i * LANES);
            }
            for (int i = 0; i < N; i++) store(a->targets + t * a->columns + column + i * LANES, sum[i]);
        }
    for (; column + LANES <= end; column += LANES)
        for (int64_t t = 0; t < targets; t++) {
            vec sum = splat(0.0f);
            for (int64_t e = a->pointer[t]; e < a->pointer[t + 1]; e++)
                sum += splat(a->value[e]) * load(a->sources + a->source[e] * a->columns + column);
            store(a->targets + t * a->columns + column, sum);
        }
    for (; column < end; column++)
        for (int64_t t = 0; t < targets; t++) {
            float sum = 0.0f;
            for (int64_t e = a->pointer[t]; e < a->pointer[t + 1]; e++)
                sum += a->value[e] * a->sources[a->source[e] * a->columns + column];
            a->targets[t * a->columns + column] = sum;
        }
}

static float dot(const float *a, const float *b, int64_t length) {
    vec sum[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 * LANES <= length; i += 4 * LANES)
        for (int j = 0; j < 4; j++) sum[j] += load(a + i + j * LANES) * load(b + i + j * LANES);
    for (; i + LANES <= length; i += LANES) sum[0] += load(a + i) * load(b + i);
    float total = sum_of_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < length; i++) total += a[i] * b[i];
    return total;
}

static void edge_products(const float *a, const float *b, int64_t columns, const int64_t *pointer,
                          const int64_t *source, int64_t first_target, int64_t end_target, float *out) {
    for (int64_t t = first_target; t < end_target; t++)
        for (int64_t e = pointer[t]; e < pointer[t + 1]; e++)
            out[e] = dot(a + t * columns, b + source[e] * columns, columns);
}
