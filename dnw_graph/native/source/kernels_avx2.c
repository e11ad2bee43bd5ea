/* AVX2 and FMA: 16 registers of 8 lanes. */
#include "kernel_table.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define LANES 8
#define TILE_MAX 14
#define HALF_TILE(...) ((void)0)
#include "templates/all.h"

void dnw_half_tile(const messages_arguments *a, int64_t pixel, int64_t source, int64_t target, int first, int end) {
    targets_1(a, pixel, source, target, first, end);
}

const kernel_table dnw_avx2 = {"avx2", messages, node, stem, pool, linear, product, edge_products, statistics,
                             node_forward, node_backward, training_floats, stage_forward, stage_backward};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
