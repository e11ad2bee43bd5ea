/* A stage in training, image by image: threads share the images. */
#include <stdlib.h>
#include <string.h>

#include "kernel_table.h"
#include "team.h"

typedef struct {
    const kernel_table *kernels;
    const stage_maps *stage;
    int64_t floats;
    float *scratch; /* `floats` for each thread */
    double *sums;   /* of each thread */
} stage_call;

static void forward(void *context, int thread, int threads) {
    const stage_call *c = context;
    const int64_t images = c->stage->images;
    c->kernels->stage_forward(c->stage, share_of(images, thread, threads), share_of(images, thread + 1, threads),
                              c->scratch + thread * c->floats);
}

static void backward(void *context, int thread, int threads) {
    const stage_call *c = context;
    const int64_t images = c->stage->part;
    c->kernels->stage_backward(c->stage, share_of(images, thread, threads), share_of(images, thread + 1, threads),
                               c->scratch + thread * c->floats, c->sums + thread * c->stage->senders * NODE_SUMS);
}

static int together(void (*task)(void *, int, int), stage_call *c, int threads) {
    c->floats = (stage_floats(c->stage) + 15) / 16 * 16;
    c->scratch = aligned_alloc(64, sizeof(float) * (size_t)(c->floats * threads));
    if (!c->scratch) return DNW_NO_MEMORY;
    dnw_together(task, c, threads);
    free(c->scratch);
    return DNW_DONE;
}

int dnw_stage_forward(const stage_maps *stage, int threads, const char *instructions) {
    stage_call c = {.kernels = dnw_kernels(instructions), .stage = stage};
    return c.kernels ? together(forward, &c, threads) : DNW_NO_INSTRUCTIONS;
}

int dnw_stage_backward(const stage_maps *stage, double *sums, int threads, const char *instructions) {
    stage_call c = {.kernels = dnw_kernels(instructions), .stage = stage};
    if (!c.kernels) return DNW_NO_INSTRUCTIONS;
    const int64_t count = stage->senders * NODE_SUMS;
    c.sums = calloc((size_t)(count * threads + 1), sizeof(double));
    if (!c.sums) return DNW_NO_MEMORY;
    const int status = together(backward, &c, threads);
    for (int64_t i = 0; i < count; i++) {
        sums[i] = 0;
        for (int thread = 0; thread < threads; thread++) sums[i] += c.sums[thread * count + i];
    }
    free(c.sums);
    return status;
}

/* starts [rows + 1]: how many edges each node has, from starts[1] on; becomes where they begin. */
static void begin(int64_t *starts, int64_t rows) {
    for (int64_t i = 0; i < rows; i++) starts[i + 1] += starts[i];
}

void dnw_stage_edges(const stage_block *blocks, const int64_t *sizes, int64_t levels, int64_t pixels, int64_t *heard,
                     edge *edges, int64_t *sent, edge *back, int64_t *next) {
    int64_t senders = 0, listeners = 0;
    for (int64_t level = 0; level < levels; level++) senders += sizes[level], listeners += sizes[level + 1];
    memset(heard, 0, sizeof(int64_t) * (size_t)(listeners + 1));
    memset(sent, 0, sizeof(int64_t) * (size_t)(senders + 1));
    /* First they are counted, then laid out. A block's targets begin after its own level. */
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t level = 0, first = 0; level < levels; first += sizes[level++]) {
            const stage_block *block = blocks + level;
            const int64_t later = first + sizes[level] - sizes[0];
            for (int64_t t = 0; t < block->targets; t++)
                for (int64_t e = block->pointer[t]; e < block->pointer[t + 1]; e++) {
                    const int64_t sender = first + block->source[e], listener = later + t;
                    if (!pass) {
                        heard[listener + 1]++, sent[sender + 1]++;
                        continue;
                    }
                    edges[next[senders + listener]++] = (edge){(int32_t)(sender * pixels), block->value[e]};
                    back[next[sender]++] = (edge){(int32_t)(listener * pixels), block->value[e]};
                }
        }
        if (pass) return;
        begin(heard, listeners), begin(sent, senders);
        memcpy(next, sent, sizeof(int64_t) * (size_t)senders);
        memcpy(next + senders, heard, sizeof(int64_t) * (size_t)listeners);
    }
}
