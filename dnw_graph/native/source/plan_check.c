/* Whether a plan stays within its memory: everything that run.c and the kernels read or write, from the tables alone.
   Tables may come from a file, so that no number in them is believed before this has seen it. */
#include <string.h>

#include "plan.h"

/* No size or place is beyond MOST, so that products of two fit into 63 bits; files are smaller. */
#define MOST ((int64_t)1 << 31)
enum { MOST_IMAGE_CHANNELS = 16, MOST_SIDE = 1 << 23 };

typedef struct {
    const plan *plan;
    plan_sizes sizes;
} context;

static int between(int64_t value, int64_t first, int64_t last) { return value >= first && value <= last; }

/* `count` values from `place` on, of `size`. */
static int within(int64_t place, int64_t count, int64_t size) {
    return between(place, 0, size) && between(count, 0, size - place);
}

static int absent_or_within(int64_t place, int64_t count, int64_t size) {
    return place < 0 || within(place, count, size);
}

static int is_buffer(const plan *p, int64_t number) { return between(number, 0, p->header.buffers - 1); }

static int64_t arena_of(const plan *p, const plan_buffer *b) {
    return b->per_thread ? p->header.thread_floats : p->header.shared_floats;
}

static int buffer_fits(const plan *p, const plan_buffer *b) {
    const int64_t rows = b->ring < 0 ? b->height : b->ring + 1;
    return between(b->per_thread, 0, 1) && between(b->height, 1, MOST_SIDE) && between(b->width, 1, MOST_SIDE) &&
           between(b->pitch, b->width, MOST) && b->pitch % 8 == 0 && between(b->stride, 0, MOST) &&
           between(b->ring, -1, MOST) && (rows & (b->ring < 0 ? 0 : b->ring)) == 0 && rows * b->pitch <= b->stride &&
           between(b->at, 0, arena_of(p, b));
}

/* Maps [first, first + count) of a buffer lie in its arena. */
static int maps_fit(const plan *p, int64_t number, int64_t first, int64_t count) {
    if (!is_buffer(p, number) || !within(first, count, MOST)) return 0;
    const plan_buffer *b = &p->buffers[number];
    return (first + count) * b->stride <= arena_of(p, b) - b->at;
}

/* `count` + 1 numbers that rise from 0 or more to at most `size`. */
static int rises(const context *c, int64_t place, int64_t count, int64_t first_edge) {
    if (!within(place, count + 1, c->sizes.numbers) || !within(first_edge, 0, c->sizes.edges)) return 0;
    const int32_t *pointer = c->plan->numbers + place;
    if (pointer[0] < 0 || pointer[count] > c->sizes.edges - first_edge) return 0;
    for (int64_t i = 0; i < count; i++)
        if (pointer[i] > pointer[i + 1]) return 0;
    return 1;
}

/* Edges between pointer[0] and pointer[count] begin at places 0 .. last. */
static int edges_fit(const context *c, int64_t pointer, int64_t count, int64_t edges, int64_t last) {
    const edge *e = c->plan->edges + edges;
    for (int64_t i = c->plan->numbers[pointer]; i < c->plan->numbers[pointer + count]; i++)
        if (!between(e[i].offset, 0, last)) return 0;
    return 1;
}

/* Each of `count` numbers from `place` on is −1 or less than `rows`. */
static int rows_fit(const context *c, int64_t place, int64_t count, int64_t rows) {
    if (!within(place, count, c->sizes.numbers)) return 0;
    for (int64_t i = 0; i < count; i++)
        if (!between(c->plan->numbers[place + i], -1, rows - 1)) return 0;
    return 1;
}

static int halved(int64_t side, int64_t out, int64_t step) { return out == (side + step - 1) / step; }

static int stem_fits(const context *c, const plan_operation *o) {
    const plan_header *h = &c->plan->header;
    if (!is_buffer(c->plan, o->in) || !is_buffer(c->plan, o->out)) return 0;
    const plan_buffer *out = &c->plan->buffers[o->out];
    return halved(h->image_height, out->height, o->step) && halved(h->image_width, out->width, o->step) &&
           within(o->kernel, 9 * h->image_channels * o->channels, c->sizes.constants);
}

static int node_fits(const context *c, const plan_operation *o) {
    if (!maps_fit(c->plan, o->in, o->in_map, o->channels) || !is_buffer(c->plan, o->out)) return 0;
    const plan_buffer *in = &c->plan->buffers[o->in], *out = &c->plan->buffers[o->out];
    return halved(in->height, out->height, o->step) && halved(in->width, out->width, o->step) &&
           within(o->scale, o->channels, c->sizes.constants) && within(o->shift, o->channels, c->sizes.constants) &&
           within(o->kernel, 9 * o->channels, c->sizes.constants) && between(o->option, 0, 1) &&
           (!o->option || in->ring < 0);
}

static int messages_fit(const context *c, const plan_operation *o) {
    const plan *p = c->plan;
    if (!maps_fit(p, o->in, o->in_map, 0) || !is_buffer(p, o->out)) return 0;
    const plan_buffer *in = &p->buffers[o->in], *out = &p->buffers[o->out];
    if (in->pitch != out->pitch || in->height != out->height) return 0;
    const int64_t room = arena_of(p, in) - in->at - o->in_map * in->stride, last = room - in->stride;
    if (!between(o->chunks, 1, MOST / o->channels) || !between(o->tile, 0, INT32_MAX) ||
        !rises(c, o->pointer, o->chunks * o->channels, o->edges) ||
        !edges_fit(c, o->pointer, o->chunks * o->channels, o->edges, last))
        return 0;
    if (o->base >= 0) {
        if (!between(o->base_stride, out->height * out->pitch, MOST) || !within(o->base, 0, c->sizes.constants)) return 0;
        if (!rows_fit(c, o->base_row, o->channels, (c->sizes.constants - o->base) / o->base_stride)) return 0;
    }
    if (o->added >= 0) {
        if (!maps_fit(p, o->added, o->added_map, 0)) return 0;
        const plan_buffer *more = &p->buffers[o->added];
        if (more->ring >= 0 || more->pitch != out->pitch || more->height != out->height) return 0;
        const int64_t maps = (arena_of(p, more) - more->at) / more->stride - o->added_map;
        if (!rows_fit(c, o->added_row, o->channels, maps)) return 0;
    }
    return 1;
}

static int pool_fits(const context *c, const plan_operation *o) {
    if (!maps_fit(c->plan, o->in, o->in_map, o->channels)) return 0;
    const plan_buffer *in = &c->plan->buffers[o->in];
    return in->ring < 0 && between(o->option, 0, 1) && (!o->option || (in->height > 3 && in->width > 3)) &&
           absent_or_within(o->scale, o->channels, c->sizes.constants) &&
           absent_or_within(o->shift, o->channels, c->sizes.constants) &&
           within(o->out_map, o->channels, c->plan->header.pooled);
}

static int operation_fits(const context *c, const plan_operation *o) {
    if (!between(o->channels, 1, MOST / 256) || !between(o->step, 1, 2) ||
        !absent_or_within(o->bias, o->channels, c->sizes.constants) || !absent_or_within(o->eps, 1, c->sizes.constants))
        return 0;
    if (o->kind == POOL) return pool_fits(c, o);
    if (!maps_fit(c->plan, o->out, o->out_map, o->channels)) return 0;
    return o->kind == STEM ? stem_fits(c, o) : o->kind == NODE ? node_fits(c, o) : o->kind == MESSAGES && messages_fit(c, o);
}

/* Of several operations each is asked for rows that later ones read: for no more than it has. */
static int group_fits(const plan *p, const plan_group *g) {
    if (!between(g->count, 1, MOST_OPERATIONS) || !within(g->first, g->count, p->header.operations) ||
        !between(g->split, BY_ROWS, BY_CHANNELS) || !between(g->strip_rows, 1, 1 << 30))
        return 0;
    const plan_operation *operations = p->operations + g->first;
    for (int64_t i = 0; g->count > 1 && i < g->count; i++) {
        const plan_operation *o = &operations[i];
        if (o->kind == POOL || o->needs >> i || (o->kind == STEM && o->needs)) return 0;
        for (int64_t j = 0; j < i; j++)
            if (o->needs >> j & 1 && p->buffers[operations[j].out].height != p->buffers[o->in].height) return 0;
    }
    return 1;
}

static int head_fits(const context *c) {
    const plan_header *h = &c->plan->header;
    if (!between(h->classes, 1, MOST / 64) || !between(h->pooled, 0, MOST) || h->pooled % 16 ||
        !within(h->classifier_bias, h->classes, c->sizes.constants) || !between(h->class_edges, 0, MOST))
        return 0;
    if (h->classifier >= 0)
        return h->pooled <= c->sizes.constants / h->classes &&
               within(h->classifier, h->classes * h->pooled, c->sizes.constants);
    return rises(c, h->class_pointer, h->classes, h->class_edges) &&
           edges_fit(c, h->class_pointer, h->classes, h->class_edges, h->pooled - 1);
}

int dnw_plan_fits(const plan *p, plan_sizes sizes) {
    const context c = {p, sizes};
    const plan_header *h = &p->header;
    if (!between(h->image_channels, 1, MOST_IMAGE_CHANNELS) || !between(h->image_height, 1, MOST_SIDE) ||
        !between(h->image_width, 1, MOST_SIDE) || !between(h->shared_floats, 0, 2 * MOST) ||
        !between(h->thread_floats, 0, 2 * MOST))
        return 0;
    int64_t widest = h->image_width;
    for (int64_t i = 0; i < h->buffers; i++) {
        if (!buffer_fits(p, &p->buffers[i])) return 0;
        if (p->buffers[i].width > widest) widest = p->buffers[i].width;
    }
    if (!between(h->scratch_floats, dnw_scratch_floats((int)widest, (int)h->image_channels), MOST))
        return 0;
    for (int64_t i = 0; i < h->operations; i++)
        if (!operation_fits(&c, &p->operations[i])) return 0;
    for (int64_t i = 0; i < h->groups; i++)
        if (!group_fits(p, &p->groups[i])) return 0;
    return head_fits(&c);
}

/* The tables are as long as their header says. */
int dnw_tables_fit(const int64_t *tables, int64_t size) {
    enum { WORD = sizeof(int64_t) };
    const int64_t head = sizeof(plan_header) / WORD;
    if (size < head) return 0;
    plan_header h;
    memcpy(&h, tables, sizeof h);
    if (!between(h.buffers, 0, size) || !between(h.operations, 0, size) || !between(h.groups, 0, size)) return 0;
    return size == head + h.buffers * (int64_t)(sizeof(plan_buffer) / WORD) +
                       h.operations * (int64_t)(sizeof(plan_operation) / WORD) +
                       h.groups * (int64_t)(sizeof(plan_group) / WORD);
}
