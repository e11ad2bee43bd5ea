/* Running a plan, group by group. Of a batch each thread takes whole images, which spares it all waiting; the images
   that are left over when their number is no multiple of the threads are shared out by rows or channels, all threads
   meeting after each group.

   Within a group of several operations each thread makes its band of the last output in strips of rows: before
   each strip every operation goes on as far as the strip needs, so that rows are used while they are in cache.
   Rows at the edge of a band are computed by both neighbours, each in buffers of its own. */

#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include <stdatomic.h>
#include <time.h>

#include "plan.h"
#include "team.h"

enum { ROWS_OF_A_BAND = 4 };

typedef struct {
    const plan *plan;
    workspace *space;
    const float *images;
    float *logits;
    int64_t batch;
    atomic_int_fast64_t next, macs; /* the next image that has no thread; products so far */
    double *seconds;                /* see dnw_plan_run */
    barrier barrier;
} call;

/* One thread at work on one image, alone (rank 0 of 1) or as one of a team. */
typedef struct {
    call *call;
    int64_t image;
    float *shared; /* the arena of buffers that a team has in common */
    float *own;
    int rank, team;
    double *seconds;
} worker;

static const float *constant(const plan *p, int64_t place) { return place < 0 ? 0 : p->constants + place; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *map_of(const worker *w, int64_t buffer, int64_t map) {
    const plan_buffer *b = &w->call->plan->buffers[buffer];
    return (b->per_thread ? w->own : w->shared) + b->at + map * b->stride;
}

static float *scratch_of(const worker *w) { return w->own + w->call->plan->header.thread_floats; }

static int out_height(const plan *p, const plan_operation *o) {
    return o->kind == POOL ? 1 : (int)p->buffers[o->out].height;
}

/* One operation on some rows of its output and some of its channels. */
static void launch(const worker *w, const plan_operation *o, int first_row, int end_row, int first, int end) {
    const call *c = w->call;
    const plan *p = c->plan;
    const plan_header *h = &p->header;
    const plan_buffer *in = o->kind == STEM ? 0 : &p->buffers[o->in];
    const plan_buffer *out = o->kind == POOL ? 0 : &p->buffers[o->out];
    if (first >= end || first_row >= end_row) return;
    const double start = w->seconds ? now() : 0.0;
    if (o->kind == STEM) {
        const stem_arguments a = {
            .images = c->images + w->image * h->image_channels * h->image_height * h->image_width,
            .out = map_of(w, o->out, o->out_map),
            .out_stride = out->stride,
            .in_channels = (int)h->image_channels,
            .in_height = (int)h->image_height,
            .in_width = (int)h->image_width,
            .out_width = (int)out->width,
            .out_pitch = (int)out->pitch,
            .out_ring = (int)out->ring,
            .step = (int)o->step,
            .rectify = (int)o->option,
            .weight = constant(p, o->kernel),
            .bias = constant(p, o->bias),
            .scratch = scratch_of(w),
        };
        p->kernels->stem(&a, first_row, end_row, first, end);
    } else if (o->kind == NODE) {
        const node_arguments a = {
            .in = map_of(w, o->in, o->in_map),
            .out = map_of(w, o->out, o->out_map),
            .in_stride = in->stride,
            .out_stride = out->stride,
            .in_height = (int)in->height,
            .in_width = (int)in->width,
            .in_pitch = (int)in->pitch,
            .out_width = (int)out->width,
            .out_pitch = (int)out->pitch,
            .in_ring = (int)in->ring,
            .out_ring = (int)out->ring,
            .step = (int)o->step,
            .instance = (int)o->option,
            .eps = o->eps < 0 ? 0.0f : p->constants[o->eps],
            .scale = constant(p, o->scale),
            .shift = constant(p, o->shift),
            .kernel = constant(p, o->kernel),
            .bias = constant(p, o->bias),
            .scratch = scratch_of(w),
        };
        p->kernels->node(&a, first_row, end_row, first, end);
    } else if (o->kind == MESSAGES) {
        initial_maps base = {0}, added = {0};
        if (o->base >= 0) base = (initial_maps){p->constants + o->base, o->base_stride, p->numbers + o->base_row};
        if (o->added >= 0)
            added = (initial_maps){map_of(w, o->added, o->added_map), p->buffers[o->added].stride,
                                   p->numbers + o->added_row};
        const messages_arguments a = {
            .sources = map_of(w, o->in, o->in_map),
            .targets = map_of(w, o->out, o->out_map),
            .target_stride = out->stride,
            .pointer = p->numbers + o->pointer,
            .edges = p->edges + o->edges,
            .bias = constant(p, o->bias),
            .there = {base, added},
            .pitch = (int)out->pitch,
            .source_ring = (int)in->ring,
            .target_ring = (int)out->ring,
            .tile = (int)o->tile,
            .num_targets = (int)o->channels,
            .chunks = (int)o->chunks,
        };
        p->kernels->messages(&a, first_row, end_row, first, end);
    } else {
        const pool_arguments a = {
            .in = map_of(w, o->in, o->in_map),
            .in_stride = in->stride,
            .height = (int)in->height,
            .width = (int)in->width,
            .pitch = (int)in->pitch,
            .window = (int)o->option,
            .instance = o->eps >= 0,
            .eps = o->eps < 0 ? 0.0f : p->constants[o->eps],
            .scale = constant(p, o->scale),
            .shift = constant(p, o->shift),
            .out = c->space->pooled + w->image * h->pooled + o->out_map,
        };
        p->kernels->pool(&a, first, end);
    }
    if (w->seconds) w->seconds[o - p->operations] += now() - start;
}

/* Products that a launch over all rows and channels is asked for, per image. */
static int64_t macs_of(const plan *p, const plan_operation *o) {
    if (o->kind == POOL) return 0;
    const plan_buffer *out = &p->buffers[o->out];
    const int64_t pixels = out->height * out->width;
    if (o->kind == STEM) return pixels * o->channels * 9 * p->header.image_channels;
    if (o->kind == NODE) return pixels * o->channels * 9;
    const int32_t *pointer = p->numbers + o->pointer;
    return pixels * (pointer[o->chunks * o->channels] - pointer[0]);
}

static int share(int whole, int part, int parts) { return (int)((int64_t)whole * part / parts); }

/* Threads along the rows: as many as leave a few rows to each, the others share out channels. */
static int bands_for(const plan_group *g, const plan *p, int threads) {
    if (g->split == BY_CHANNELS) return 1;
    const int height = out_height(p, &p->operations[g->first + g->count - 1]);
    int bands = threads;
    while (bands > 1 && (threads % bands || height / bands < ROWS_OF_A_BAND)) bands--;
    return bands;
}

/* Rows [*first, *end) of its input that an operation reads for rows [first, end) of its output. */
static void rows_read(const plan_operation *o, const plan_buffer *in, int *first, int *end) {
    if (o->kind != NODE || *first >= *end) return;
    const int top = *first * (int)o->step - 1, bottom = (*end - 1) * (int)o->step + 2;
    *first = top < 0 ? 0 : top;
    *end = bottom > in->height ? (int)in->height : bottom;
}

/* For rows [first, end) of the group's last output: the rows that each of its operations has to make. */
static void rows_needed(const plan *p, const plan_group *g, int first, int end, int *starts, int *ends) {
    const int last = (int)g->count - 1;
    for (int i = 0; i < last; i++) starts[i] = 1 << 30, ends[i] = 0;
    starts[last] = first, ends[last] = end;
    for (int i = last; i > 0; i--) {
        const plan_operation *o = &p->operations[g->first + i];
        int from = starts[i], to = ends[i];
        rows_read(o, &p->buffers[o->in], &from, &to);
        for (int j = 0; j < i; j++) {
            if (!(o->needs >> j & 1)) continue;
            if (from < starts[j]) starts[j] = from;
            if (to > ends[j]) ends[j] = to;
        }
    }
}

static void run_group(const worker *w, const plan_group *g) {
    const plan *p = w->call->plan;
    const plan_operation *operations = p->operations + g->first;
    const int last = (int)g->count - 1, height = out_height(p, &operations[last]);
    const int bands = bands_for(g, p, w->team), slices = w->team / bands;
    const int band = w->rank / slices, slice = w->rank % slices;
    if (band >= bands) return;
    const int first = share(height, band, bands), end = share(height, band + 1, bands);
    if (!last) {
        const int channels = (int)operations->channels;
        launch(w, operations, first, end, share(channels, slice, slices), share(channels, slice + 1, slices));
        return;
    }
    if (slice) return;
    int done[MOST_OPERATIONS + 1], ends[MOST_OPERATIONS + 1], unused[MOST_OPERATIONS + 1];
    rows_needed(p, g, first, end, done, ends);
    for (int row = first; row < end; row += (int)g->strip_rows) {
        const int to = row + g->strip_rows < end ? row + (int)g->strip_rows : end;
        rows_needed(p, g, first, to, unused, ends);
        for (int i = 0; i <= last; i++) {
            if (ends[i] <= done[i]) continue;
            launch(w, &operations[i], done[i], ends[i], 0, (int)operations[i].channels);
            done[i] = ends[i];
        }
    }
}

static void run_image(const worker *w) {
    call *c = w->call;
    const plan_header *h = &c->plan->header;
    for (int64_t g = 0; g < h->groups; g++) {
        const plan_group *group = &c->plan->groups[g];
        if (!w->rank)
            for (int64_t i = 0; i < group->count; i++)
                atomic_fetch_add_explicit(&c->macs, macs_of(c->plan, &c->plan->operations[group->first + i]),
                                          memory_order_relaxed);
        run_group(w, group);
        const double start = w->seconds ? now() : 0.0;
        dnw_meet(&c->barrier, w->team);
        if (w->seconds) w->seconds[h->operations] += now() - start;
    }
}

static void classify(const call *c, int thread, int threads) {
    const plan *p = c->plan;
    const plan_header *h = &p->header;
    const int classes = (int)h->classes;
    const int first = share(classes, thread, threads), end = share(classes, thread + 1, threads);
    const float *bias = p->constants + h->classifier_bias;
    if (h->classifier >= 0) {
        const linear_arguments a = {.in = c->space->pooled,
                                    .out = c->logits,
                                    .images = (int)c->batch,
                                    .length = (int)h->pooled,
                                    .classes = classes,
                                    .weight = p->constants + h->classifier,
                                    .bias = bias};
        p->kernels->linear(&a, first, end);
        return;
    }
    const int32_t *pointer = p->numbers + h->class_pointer;
    for (int64_t image = 0; image < c->batch; image++)
        for (int class = first; class < end; class++) {
            float sum = bias[class];
            const float *pooled = c->space->pooled + image * h->pooled;
            for (int32_t e = pointer[class]; e < pointer[class + 1]; e++)
                sum += p->edges[h->class_edges + e].weight * pooled[p->edges[h->class_edges + e].offset];
            c->logits[image * classes + class] = sum;
        }
}

static void work(void *argument, int thread, int threads) {
    call *c = argument;
    const workspace *space = c->space;
    const plan_header *h = &c->plan->header;
    /* The team may be smaller than was asked for, and its members' own arenas not be there. */
    const int64_t alone = threads == 1 || space->more ? c->batch - c->batch % threads : 0;
    worker w = {.call = c,
                .shared = thread && space->more ? space->more + (thread - 1) * space->shared_floats : space->shared,
                .own = space->own + thread * space->thread_floats,
                .team = 1,
                .seconds = thread ? 0 : c->seconds};
    while ((w.image = atomic_fetch_add_explicit(&c->next, 1, memory_order_relaxed)) < alone) run_image(&w);
    dnw_meet(&c->barrier, threads);
    w.shared = space->shared, w.rank = thread, w.team = threads;
    for (w.image = alone; w.image < c->batch; w.image++) run_image(&w);
    if (!thread) {
        const int32_t *pointer = c->plan->numbers + h->class_pointer;
        atomic_fetch_add(&c->macs, c->batch * (h->classifier >= 0 ? h->classes * h->class_edges
                                                                   : pointer[h->classes] - pointer[0]));
    }
    classify(c, thread, threads);
}

int64_t dnw_plan_run(const plan *p, workspace *w, const float *images, int64_t batch, float *logits, int threads,
                     double *seconds) {
    threads = threads < w->threads ? threads : w->threads;
    if (!dnw_workspace_batch(w, p, batch, batch >= threads)) return -1;
    call c = {.plan = p, .space = w, .images = images, .logits = logits, .batch = batch, .seconds = seconds};
    dnw_together(work, &c, threads);
    return atomic_load(&c.macs);
}
