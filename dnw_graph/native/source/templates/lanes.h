/* Images in lanes: pixel p of LANES maps becomes one vector, so that a map of any size, with any step, is worked on
   without masks. `count` maps are real; the lanes of the others are 0 and are not written back. */

#if LANES == 8
#define HALVES_1_LOW 0, 8, 2, 10, 4, 12, 6, 14
#define HALVES_1_HIGH 1, 9, 3, 11, 5, 13, 7, 15
#define HALVES_2_LOW 0, 1, 8, 9, 4, 5, 12, 13
#define HALVES_2_HIGH 2, 3, 10, 11, 6, 7, 14, 15
#define HALVES_4_LOW 0, 1, 2, 3, 8, 9, 10, 11
#define HALVES_4_HIGH 4, 5, 6, 7, 12, 13, 14, 15
#else
#define HALVES_1_LOW 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HALVES_1_HIGH 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define HALVES_2_LOW 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HALVES_2_HIGH 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define HALVES_4_LOW 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HALVES_4_HIGH 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define HALVES_8_LOW 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HALVES_8_HIGH 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#endif

/* Swap the off-diagonal squares of side S. */
#define SWAP_SQUARES(v, S)                                                        \
    for (int i = 0; i < LANES; i++)                                               \
        if (!(i & S)) {                                                           \
            const vec a = v[i], b = v[i + S];                                     \
            v[i] = __builtin_shufflevector(a, b, HALVES_##S##_LOW);               \
            v[i + S] = __builtin_shufflevector(a, b, HALVES_##S##_HIGH);          \
        }

INLINE void transpose(vec v[LANES]) {
    SWAP_SQUARES(v, 1)
    SWAP_SQUARES(v, 2)
    SWAP_SQUARES(v, 4)
#if LANES == 16
    SWAP_SQUARES(v, 8)
#endif
}

/* Pixels [0, pixels) of `count` maps, `stride` floats apart → to[pixel][LANES]. */
static void into_lanes(const float *maps, int64_t stride, int count, int64_t pixels, float *to) {
    int64_t p = 0;
    if (count == LANES)
        for (; p + LANES <= pixels; p += LANES) {
            vec v[LANES];
            for (int i = 0; i < LANES; i++) v[i] = load(maps + i * stride + p);
            transpose(v);
            for (int i = 0; i < LANES; i++) store(to + (p + i) * LANES, v[i]);
        }
    if (count < LANES) memset(to + p * LANES, 0, sizeof(float) * LANES * (size_t)(pixels - p));
    for (int i = 0; i < count; i++)
        for (int64_t q = p; q < pixels; q++) to[q * LANES + i] = maps[i * stride + q];
}

/* The way back. */
static void out_of_lanes(const float *from, int64_t stride, int count, int64_t pixels, float *maps) {
    int64_t p = 0;
    if (count == LANES)
        for (; p + LANES <= pixels; p += LANES) {
            vec v[LANES];
            for (int i = 0; i < LANES; i++) v[i] = load(from + (p + i) * LANES);
            transpose(v);
            for (int i = 0; i < LANES; i++) store(maps + i * stride + p, v[i]);
        }
    for (int i = 0; i < count; i++)
        for (int64_t q = p; q < pixels; q++) maps[i * stride + q] = from[q * LANES + i];
}
