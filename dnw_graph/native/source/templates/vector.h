/* Vectors of LANES floats in the compiler's own vector types: one source for every instruction set.
   A file that includes this has set LANES and, with a pragma, the instruction set. */

#include <stdint.h>
#include <string.h>

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
/* Maps are aligned, but a tile may start at half a vector and a neighbour at any lane. */
typedef float loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t loose_int __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* Vectors are passed between inlined functions only: no ABI is involved. */
#pragma GCC diagnostic ignored "-Wpsabi"

/* Keeps one address in one register; the compiler else computes each of a tile's addresses anew. */
#define ONE_ADDRESS(pointer) __asm__("" : "+r"(pointer))

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *from) { return *(const loose *)from; }

INLINE void store(float *to, vec value) { *(loose *)to = value; }

INLINE vec splat(float value) { return value - (vec){0}; }

/* max(v, 0) that keeps NaN: the instructions return their second operand when either is NaN. */
INLINE vec relu(vec v) {
#if LANES == 8 && defined(__AVX__)
    return (vec)__builtin_ia32_maxps256((vec){0}, v);
#elif LANES == 16 && defined(__AVX512F__) && !defined(__clang__)
    return (vec)__builtin_ia32_maxps512_mask((vec){0}, v, (vec){0}, -1, 4);
#else
    return (vec)((ivec)v & ~(v <= (vec){0}));
#endif
}

/* All ones in the first `count` lanes, 0 in the others; count may be 0 or beyond LANES. */
INLINE ivec first_lanes(int count) {
    ivec lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    return lane < count - (ivec){0};
}

INLINE vec keep(vec v, ivec mask) { return (vec)((ivec)v & mask); }

INLINE float sum_of_lanes(vec v) {
    float parts[LANES];
    store(parts, v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) parts[i] += parts[i + half];
    return parts[0];
}

/* Even and odd elements of 2 · LANES consecutive floats. */
INLINE void deinterleave(vec low, vec high, vec *even, vec *odd) {
#if LANES == 8
    *even = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
    *odd = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
#else
    *even = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *odd = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#endif
}
