/* Message passing: z_t = what is there already + Σ over incoming edges of weight · h_source.

   A tile of N vectors of pixels stays in registers while a target's edges go by: one broadcast and N
   fused multiply-adds with a memory operand for each edge. Where targets have many edges, sources go by in chunks whose
   tiles stay in the first-level cache, and the sums wait in the targets meanwhile. Rows end at a multiple of 8 floats:
   where that is half a vector, HALF_TILE does what is left. */

/* What is there of target t, from `pixel` on; NULL if nothing is. */
INLINE const float *initial_map(const initial_maps *i, int t, int64_t pixel) {
    return i->maps && i->row[t] >= 0 ? i->maps + i->row[t] * i->stride + pixel : 0;
}

enum { AHEAD = 8 }; /* edges: what the source of a later one sends is fetched meanwhile */

#define TILE(N)                                                                                               \
    INLINE void tile_##N(const edge *e, const edge *end, const float *h, float *z, float bias,                \
                         const float *there, const float *more, int far) {                                    \
        vec sum[N];                                                                                           \
        for (int i = 0; i < N; i++) sum[i] = splat(bias);                                                     \
        if (there)                                                                                            \
            for (int i = 0; i < N; i++) sum[i] += load(there + i * LANES);                                    \
        if (more)                                                                                             \
            for (int i = 0; i < N; i++) sum[i] += load(more + i * LANES);                                     \
        for (; e < end; e++) {                                                                                \
            const float *from = h + e->offset;                                                                \
            ONE_ADDRESS(from);                                                                                \
            const vec weight = splat(e->weight);                                                              \
            if (far)                                                                                          \
                for (int i = 0; i < N; i += 64 / (4 * LANES)) __builtin_prefetch(h + e[AHEAD].offset + i * LANES); \
            for (int i = 0; i < N; i++) sum[i] += weight * load(from + i * LANES);                            \
        }                                                                                                     \
        for (int i = 0; i < N; i++) store(z + i * LANES, sum[i]);                                             \
    }                                                                                                         \
    static void targets_##N(const messages_arguments *a, int64_t pixel, int64_t source, int64_t target, int first, \
                            int end) {                                                                        \
        for (int t = first; t < end; t++)                                                                     \
            tile_##N(a->edges + a->pointer[t], a->edges + a->pointer[t + 1], a->sources + source,             \
                     a->targets + t * a->target_stride + target, a->bias ? a->bias[t] : 0.0f,                  \
                     initial_map(&a->there[0], t, pixel), initial_map(&a->there[1], t, pixel), a->chunks == 1);\
        for (int chunk = 1; chunk < a->chunks; chunk++) {                                                     \
            const int32_t *pointer = a->pointer + chunk * a->num_targets;                                     \
            for (int t = first; t < end; t++) {                                                               \
                float *z = a->targets + t * a->target_stride + target;                                        \
                if (pointer[t] == pointer[t + 1]) continue;                                                   \
                tile_##N(a->edges + pointer[t], a->edges + pointer[t + 1], a->sources + source, z, 0.0f, 0, z, 0); \
            }                                                                                                 \
        }                                                                                                     \
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

typedef void targets_of_tile(const messages_arguments *, int64_t, int64_t, int64_t, int, int);

static targets_of_tile *const TILES[] = {
    0,         targets_1, targets_2, targets_3, targets_4, targets_5, targets_6, targets_7,
#if TILE_MAX > 7
    targets_8, targets_9, targets_10, targets_11, targets_12, targets_13, targets_14,
#endif
};

/* Pixels that follow each other in all buffers, in tiles of about equal size: pixel is their place in a whole map,
   source and target where they lie in the two buffers. Returns how many it left, less than a vector. */
INLINE int64_t pixels(const messages_arguments *a, int64_t pixel, int64_t source, int64_t target, int64_t count,
                      int first, int end) {
    const int64_t vectors = count / LANES;
    const int wanted = a->tile / LANES, most = wanted < 1 ? 1 : wanted > TILE_MAX ? TILE_MAX : wanted;
    const int64_t tiles = (vectors + most - 1) / most;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t from = vectors * i / tiles, to = vectors * (i + 1) / tiles, at = from * LANES;
        TILES[to - from](a, pixel + at, source + at, target + at, first, end);
    }
    return count - vectors * LANES;
}

/* Rows from y on that follow each other in a ring. */
INLINE int until_turn(int y, int ring, int rows) {
    const int left = ring < 0 ? rows : ring + 1 - (y & ring);
    return left < rows ? left : rows;
}

static void messages(const messages_arguments *a, int first_row, int end_row, int first, int end) {
    for (int y = first_row; y < end_row;) {
        const int rows = until_turn(y, a->target_ring, until_turn(y, a->source_ring, end_row - y));
        const int64_t pitch = a->pitch, count = rows * pitch;
        const int64_t pixel = y * pitch, source = (y & a->source_ring) * pitch, target = (y & a->target_ring) * pitch;
        const int64_t left = pixels(a, pixel, source, target, count, first, end);
        if (left) HALF_TILE(a, pixel + count - left, source + count - left, target + count - left, first, end);
        y += rows;
    }
}
