#include "plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Bytes of a cache line and of a large page; floats that a last vector may read too far. */
enum { LINE = 64, LARGE_PAGE = 2 << 20, BEYOND = 64 };

static void *copied(const void *from, size_t bytes) {
    const size_t size = (bytes + BEYOND * sizeof(float) + LINE - 1) / LINE * LINE;
    char *to = aligned_alloc(LINE, size);
    if (!to) return 0;
    if (bytes) memcpy(to, from, bytes);
    memset(to + bytes, 0, size - bytes);
    return to;
}

int dnw_plan_new(const int64_t *tables, int64_t num_tables, const float *constants, int64_t num_constants,
                 const int32_t *numbers, int64_t num_numbers, const edge *edges, int64_t num_edges,
                 const char *instructions, plan **made) {
    const kernel_table *kernels = dnw_kernels(instructions);
    if (!kernels) return DNW_NO_INSTRUCTIONS;
    if (!dnw_tables_fit(tables, num_tables)) return DNW_BAD_PLAN;
    plan *p = calloc(1, sizeof *p);
    if (!p) return DNW_NO_MEMORY;
    p->kernels = kernels;
    memcpy(&p->header, tables, sizeof p->header);
    const plan_header *h = &p->header;
    const int64_t *buffers = tables + sizeof(plan_header) / sizeof(int64_t);
    const int64_t *operations = buffers + h->buffers * (int64_t)(sizeof(plan_buffer) / sizeof(int64_t));
    const int64_t *groups = operations + h->operations * (int64_t)(sizeof(plan_operation) / sizeof(int64_t));
    p->buffers = copied(buffers, (size_t)h->buffers * sizeof(plan_buffer));
    p->operations = copied(operations, (size_t)h->operations * sizeof(plan_operation));
    p->groups = copied(groups, (size_t)h->groups * sizeof(plan_group));
    p->constants = copied(constants, (size_t)num_constants * sizeof(float));
    p->numbers = copied(numbers, (size_t)num_numbers * sizeof(int32_t));
    p->edges = copied(edges, (size_t)num_edges * sizeof(edge));
    if (!p->buffers || !p->operations || !p->groups || !p->constants || !p->numbers || !p->edges) {
        dnw_plan_free(p);
        return DNW_NO_MEMORY;
    }
    if (!dnw_plan_fits(p, (plan_sizes){num_constants, num_numbers, num_edges})) {
        dnw_plan_free(p);
        return DNW_BAD_PLAN;
    }
    *made = p;
    return DNW_DONE;
}

void dnw_plan_free(plan *p) {
    if (!p) return;
    free(p->buffers);
    free(p->operations);
    free(p->groups);
    free(p->constants);
    free(p->numbers);
    free(p->edges);
    free(p);
}

static float *floats(int64_t count) {
    size_t size = ((size_t)count + BEYOND) * sizeof(float);
    /* Edges lead anywhere: with small pages most of them would miss the translation buffer. */
    const size_t page = size > LARGE_PAGE / 2 ? LARGE_PAGE : LINE;
    size = (size + page - 1) / page * page;
    float *memory = aligned_alloc(page, size);
    if (!memory) return 0;
#ifdef MADV_HUGEPAGE
    if (page == LARGE_PAGE) madvise(memory, size, MADV_HUGEPAGE);
#endif
    /* Pad lanes are read before they are written: what they hold does not matter, but it must not change. */
    return memset(memory, 0, size);
}

workspace *dnw_workspace_new(const plan *p, int threads) {
    workspace *w = calloc(1, sizeof *w);
    if (!w) return 0;
    const int64_t line = LINE / (int64_t)sizeof(float);
    w->threads = threads;
    w->shared_floats = (p->header.shared_floats + BEYOND + line - 1) / line * line;
    w->thread_floats = (p->header.thread_floats + p->header.scratch_floats + BEYOND + line - 1) / line * line;
    w->shared = floats(w->shared_floats);
    w->own = floats(w->thread_floats * threads);
    if (w->shared && w->own) return w;
    dnw_workspace_free(w);
    return 0;
}

void dnw_workspace_free(workspace *w) {
    if (!w) return;
    free(w->shared);
    free(w->own);
    free(w->pooled);
    free(w->more);
    free(w);
}

int dnw_workspace_batch(workspace *w, const plan *p, int64_t batch, int whole_images) {
    if (whole_images && w->threads > 1 && !w->more) {
        w->more = floats((w->threads - 1) * w->shared_floats);
        if (!w->more) return 0;
    }
    if (batch <= w->batch) return 1;
    free(w->pooled);
    w->pooled = floats(batch * p->header.pooled);
    w->batch = w->pooled ? batch : 0;
    return w->pooled != 0;
}
