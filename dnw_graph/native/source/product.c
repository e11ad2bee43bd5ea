/* Products of sparse edges with plain matrices of features, for the operator's backend. */
#include <stdlib.h>

#include "kernel_table.h"
#include "team.h"

typedef struct {
    const kernel_table *kernels;
    product_arguments arguments;
    float *packed; /* one part for each thread */
} product_call;

/* Fewer columns than this for each thread: they take targets instead, all columns of each. */
enum { COLUMNS_WORTH_SHARING = 128 };

/* Columns that a thread takes, in whole cache lines. */
static int64_t column_of(int64_t columns, int thread, int threads) {
    return thread == threads ? columns : columns / 16 * thread / threads * 16;
}

/* Where a thread's targets begin, so that all have about as many edges. */
static int64_t target_of(const int64_t *pointer, int64_t num_targets, int thread, int threads) {
    const int64_t wanted = pointer[num_targets] / threads * thread;
    int64_t target = thread == threads ? num_targets : 0, above = num_targets;
    while (thread < threads && target < above) {
        const int64_t middle = (target + above) / 2;
        if (pointer[middle] < wanted)
            target = middle + 1;
        else
            above = middle;
    }
    return target;
}

static void product(void *context, int thread, int threads) {
    const product_call *c = context;
    const product_arguments *a = &c->arguments;
    float *packed = c->packed + thread * product_floats(a->num_sources);
    if (a->columns < (int64_t)COLUMNS_WORTH_SHARING * threads)
        c->kernels->product(a, 0, a->columns, target_of(a->pointer, a->num_targets, thread, threads),
                            target_of(a->pointer, a->num_targets, thread + 1, threads), packed);
    else
        c->kernels->product(a, column_of(a->columns, thread, threads), column_of(a->columns, thread + 1, threads), 0,
                            a->num_targets, packed);
}

int dnw_product(const product_arguments *arguments, int threads, const char *instructions) {
    product_call c = {.kernels = dnw_kernels(instructions), .arguments = *arguments};
    if (!c.kernels) return DNW_NO_INSTRUCTIONS;
    const int64_t floats = product_floats(arguments->num_sources) * threads;
    c.packed = aligned_alloc(64, (size_t)(floats + 16) / 16 * 16 * sizeof(float));
    if (!c.packed) return DNW_NO_MEMORY;
    dnw_together(product, &c, threads);
    free(c.packed);
    return DNW_DONE;
}

typedef struct {
    const kernel_table *kernels;
    edge_arguments arguments;
    float *packed, *sums;
} edge_call;

static void edge_products(void *context, int thread, int threads) {
    const edge_call *c = context;
    const edge_arguments *a = &c->arguments;
    const int64_t first = target_of(a->pointer, a->num_targets, thread, threads);
    const int64_t end = target_of(a->pointer, a->num_targets, thread + 1, threads);
    c->kernels->edge_products(a, first, end, c->packed + thread * product_floats(a->num_sources),
                              c->sums + a->pointer[first] * MOST_LANES);
}

int dnw_edge_products(const edge_arguments *arguments, int threads, const char *instructions) {
    edge_call c = {.kernels = dnw_kernels(instructions), .arguments = *arguments};
    if (!c.kernels) return DNW_NO_INSTRUCTIONS;
    const int64_t packed = product_floats(arguments->num_sources) * threads;
    const int64_t sums = arguments->pointer[arguments->num_targets] * MOST_LANES;
    c.packed = aligned_alloc(64, (size_t)(packed + sums + 16) / 16 * 16 * sizeof(float));
    if (!c.packed) return DNW_NO_MEMORY;
    c.sums = c.packed + packed;
    dnw_together(edge_products, &c, threads);
    free(c.packed);
    return DNW_DONE;
}
