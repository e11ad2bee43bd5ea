/* AVX-512: 32 registers of 16 lanes. */
#include "kernel_table.h"

#if defined(__x86_64__)
/* DNW_EMULATE_AVX512: the same code of 16 lanes in AVX2, to test it on a processor without AVX-512. */
#if defined(DNW_EMULATE_AVX512)
#define INSTRUCTIONS "avx2,fma"
#else
#define INSTRUCTIONS "avx512f,avx512vl,avx512dq,avx512bw,fma"
#endif
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target(INSTRUCTIONS))), apply_to = function)
#elif defined(DNW_EMULATE_AVX512)
#pragma GCC target("avx2,fma")
#else
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,fma")
#endif
#define LANES 16
#define TILE_MAX 14
#define HALF_TILE dnw_half_tile
#include "templates/all.h"

/* Where rows end at half a vector, the 8 lanes of AVX2 do them. */
static void node_16(const node_arguments *a, int first_row, int end_row, int first, int end) {
    (a->out_pitch % LANES ? dnw_avx2.node : node)(a, first_row, end_row, first, end);
}

static void stem_16(const stem_arguments *a, int first_row, int end_row, int first, int end) {
    (a->out_pitch % LANES ? dnw_avx2.stem : stem)(a, first_row, end_row, first, end);
}

/* And rows of 8 pixels in training. */
static int narrow(const node_maps *a) { return a->step == 1 && a->width % LANES == LANES / 2; }

static void node_forward_16(const node_maps *a, float *h, int64_t first, int64_t end, float *scratch) {
    (narrow(a) ? dnw_avx2.node_forward : node_forward)(a, h, first, end, scratch);
}

static void node_backward_16(const node_maps *a, const float *g, const node_gradients *to, int64_t first, int64_t end,
                             float *scratch) {
    (narrow(a) ? dnw_avx2.node_backward : node_backward)(a, g, to, first, end, scratch);
}

static void stage_forward_16(const stage_maps *a, int64_t first, int64_t end, float *scratch) {
    (a->width % LANES ? dnw_avx2.stage_forward : stage_forward)(a, first, end, scratch);
}

static void stage_backward_16(const stage_maps *a, int64_t first, int64_t end, float *scratch, double *sums) {
    (a->width % LANES ? dnw_avx2.stage_backward : stage_backward)(a, first, end, scratch, sums);
}

const kernel_table dnw_avx512 = {"avx512", messages, node_16, stem_16, pool, linear, product, edge_products, statistics,
                             node_forward_16, node_backward_16, training_floats, stage_forward_16, stage_backward_16};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
