/* AVX2 and FMA: 16 registers of 8 lanes. */
#include "kernels.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define LANES 8
#define TILE_MAX 14
#include "vector.h"
#include "messages.h"
#include "node.h"
#include "stem.h"
#include "head.h"

const kernel_table dnw_avx2 = {"avx2", messages, node, stem, pool, linear, product, edge_products};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
