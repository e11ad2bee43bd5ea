/* AVX-512: 32 registers of 16 lanes. */
#include "kernels.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,fma")
#endif
#define LANES 16
#define TILE_MAX 14
#include "vector.h"
#include "messages.h"
#include "node.h"
#include "stem.h"
#include "head.h"

/* Rows end at a multiple of 8: where that is half a vector, the 8 lanes of AVX2 do it. */
static void messages_16(const messages_arguments *a, int64_t first_pixel, int64_t end_pixel, int first,
                        int end) {
    const int64_t whole = first_pixel + (end_pixel - first_pixel) / LANES * LANES;
    messages(a, first_pixel, whole, first, end);
    if (whole < end_pixel) dnw_avx2.messages(a, whole, end_pixel, first, end);
}

static void node_16(const node_arguments *a, int first_row, int end_row, int first, int end) {
    (a->out_pitch % LANES ? dnw_avx2.node : node)(a, first_row, end_row, first, end);
}

static void stem_16(const stem_arguments *a, int first_row, int end_row, int first, int end) {
    (a->out_pitch % LANES ? dnw_avx2.stem : stem)(a, first_row, end_row, first, end);
}

const kernel_table dnw_avx512 = {"avx512", messages_16, node_16, stem_16, pool, linear, product, edge_products};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
