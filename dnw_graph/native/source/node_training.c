/* The node operation in training: threads share the channels. */
#include <stdlib.h>

#include "kernel_table.h"
#include "team.h"

typedef struct {
    const kernel_table *kernels;
    const node_maps *maps;
    const float *g;
    float *out, *variance;
    const node_gradients *gradients;
    int64_t floats;
    float *scratch; /* `floats` for each thread */
} node_call;

static void statistics(void *context, int thread, int threads) {
    const node_call *c = context;
    const int64_t groups = c->maps->per_map ? c->maps->channels * c->maps->images : c->maps->channels;
    c->kernels->statistics(c->maps, c->out, c->variance, share_of(groups, thread, threads),
                           share_of(groups, thread + 1, threads));
}

static void forward(void *context, int thread, int threads) {
    const node_call *c = context;
    c->kernels->node_forward(c->maps, c->out, share_of(c->maps->channels, thread, threads),
                             share_of(c->maps->channels, thread + 1, threads), c->scratch + thread * c->floats);
}

static void backward(void *context, int thread, int threads) {
    const node_call *c = context;
    c->kernels->node_backward(c->maps, c->g, c->gradients, share_of(c->maps->channels, thread, threads),
                              share_of(c->maps->channels, thread + 1, threads), c->scratch + thread * c->floats);
}

static int together(void (*task)(void *, int, int), node_call *c, int threads) {
    c->floats = (c->kernels->training_floats(c->maps->height, c->maps->width) + 15) / 16 * 16;
    c->scratch = aligned_alloc(64, sizeof(float) * (size_t)(c->floats * threads));
    if (!c->scratch) return DNW_NO_MEMORY;
    dnw_together(task, c, threads);
    free(c->scratch);
    return DNW_DONE;
}

int dnw_statistics(const node_maps *maps, float *mean, float *variance, int threads, const char *instructions) {
    node_call c = {.kernels = dnw_kernels(instructions), .maps = maps, .out = mean, .variance = variance};
    if (!c.kernels) return DNW_NO_INSTRUCTIONS;
    dnw_together(statistics, &c, threads);
    return DNW_DONE;
}

int dnw_node_forward(const node_maps *maps, float *h, int threads, const char *instructions) {
    node_call c = {.kernels = dnw_kernels(instructions), .maps = maps, .out = h};
    return c.kernels ? together(forward, &c, threads) : DNW_NO_INSTRUCTIONS;
}

int dnw_node_backward(const node_maps *maps, const float *g, const node_gradients *gradients, int threads,
                      const char *instructions) {
    node_call c = {.kernels = dnw_kernels(instructions), .maps = maps, .g = g, .gradients = gradients};
    return c.kernels ? together(backward, &c, threads) : DNW_NO_INSTRUCTIONS;
}
