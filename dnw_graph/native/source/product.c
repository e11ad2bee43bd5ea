/* Products of sparse edges with plain matrices of features, for the operator's backend. */
#include <stdlib.h>

#include "kernels.h"
#include "team.h"

const char *dnw_instructions(const char *name) {
    const kernel_table *kernels = dnw_kernels(name);
    return kernels ? kernels->name : 0;
}

typedef struct {
    const kernel_table *kernels;
    product_arguments arguments;
    float *packed; /* one part for each thread */
} product_call;

/* Columns that a thread takes, in whole cache lines. */
static int64_t column_of(int64_t columns, int thread, int threads) {
    return thread == threads ? columns : columns / 16 * thread / threads * 16;
}

static void product(void *context, int thread, int threads) {
    const product_call *c = context;
    const int64_t columns = c->arguments.columns;
    c->kernels->product(&c->arguments, column_of(columns, thread, threads), column_of(columns, thread + 1, threads),
                        c->packed + thread * product_floats(c->arguments.num_sources));
}

/* targets [num_targets][columns] = edges · sources [num_sources][columns].
   1: done; 0: these instructions cannot run here; −1: no memory. */
int dnw_product(const float *sources, float *targets, int64_t num_sources, int64_t num_targets, int64_t columns,
                const int64_t *pointer, const int64_t *source, const float *value, int threads,
                const char *instructions) {
    product_call c = {.kernels = dnw_kernels(instructions),
                      .arguments = {.sources = sources,
                                    .targets = targets,
                                    .num_sources = num_sources,
                                    .num_targets = num_targets,
                                    .columns = columns,
                                    .pointer = pointer,
                                    .source = source,
                                    .value = value}};
    if (!c.kernels) return 0;
    c.packed = aligned_alloc(64, (size_t)(product_floats(num_sources) * threads + 16) / 16 * 16 * sizeof(float));
    if (!c.packed) return -1;
    dnw_together(product, &c, threads);
    free(c.packed);
    return 1;
}

typedef struct {
    const kernel_table *kernels;
    const float *a, *b;
    int64_t targets, columns;
    const int64_t *pointer, *source;
    float *out;
} edge_call;

static void edge_products(void *context, int thread, int threads) {
    const edge_call *c = context;
    c->kernels->edge_products(c->a, c->b, c->columns, c->pointer, c->source, c->targets * thread / threads,
                              c->targets * (thread + 1) / threads, c->out);
}

/* out[e] = Σ over columns of a[target of e] · b[source of e]; 0 if these instructions cannot run here. */
int dnw_edge_products(const float *a, const float *b, int64_t targets, int64_t columns, const int64_t *pointer,
                      const int64_t *source, float *out, int threads, const char *instructions) {
    edge_call c = {dnw_kernels(instructions), a, b, targets, columns, pointer, source, out};
    if (!c.kernels) return 0;
    dnw_together(edge_products, &c, threads);
    return 1;
}
