/* A network as a list of operations on buffers of maps, made by dnw_graph/inference/plan_steps.py for one size of images. */

#ifndef DNW_PLAN_H
#define DNW_PLAN_H

#include <stdint.h>

#include "kernels.h"

/* Every field is an int64 so that Python can hand over tables. Places in the constants count floats, places in
   the numbers count int32; −1: absent. */

typedef struct {
    int64_t per_thread; /* 1: each thread has its own, for groups whose threads compute common rows twice */
    int64_t at;         /* first float, in the shared arena or in the thread's */
    int64_t stride;     /* floats from one map to the next */
    int64_t height, width, pitch;
    int64_t ring; /* rows that have a place, less 1; −1: all */
} plan_buffer;

enum { STEM, NODE, MESSAGES, POOL };

typedef struct {
    int64_t kind;
    int64_t in, in_map;   /* buffer and its first map; STEM reads the images instead */
    int64_t out, out_map; /* POOL writes the pooled vector instead, from out_map on */
    int64_t channels;
    int64_t step;
    int64_t option; /* STEM: ReLU follows; NODE: instance norm; POOL: window */
    int64_t scale, shift, kernel, bias;
    int64_t base, base_stride, base_row;
    int64_t pointer, edges, carry;
    int64_t carried, carried_map;
    int64_t tile;  /* pixels of a tile of MESSAGES */
    int64_t blocks; /* of its sources: edges are sorted by block, then by target */
    int64_t eps;   /* place in the constants */
    int64_t needs; /* bit i: reads what operation i of its group writes */
} plan_operation;

enum { BY_ROWS, BY_CHANNELS };

typedef struct {
    int64_t first, count;
    int64_t split;      /* what threads share out: rows of the last operation's output, or channels */
    int64_t strip_rows; /* rows of the last output that are made at a time */
} plan_group;

typedef struct {
    int64_t buffers, operations, groups;
    int64_t shared_floats, thread_floats, scratch_floats;
    int64_t image_channels, image_height, image_width;
    int64_t pooled, classes; /* pooled: length of an image's pooled vector, a multiple of 16 */
    int64_t classifier;      /* place of weights [classes][pooled]; −1: wired */
    int64_t classifier_bias; /* [classes] */
    int64_t class_pointer, class_edges; /* of a wired one; class_edges of a dense one: channels that are read */
} plan_header;

typedef struct plan plan;
typedef struct workspace workspace;

/* tables: header, buffers, operations, groups, one after the other. Copies everything; NULL without memory. */
plan *dnw_plan_new(const int64_t *tables, const float *constants, int64_t num_constants, const int32_t *numbers,
                   int64_t num_numbers, const edge *edges, int64_t num_edges, const char *instructions);
void dnw_plan_free(plan *);

/* What one caller at a time needs to run the plan with up to `threads` threads. */
workspace *dnw_workspace_new(const plan *, int threads);
void dnw_workspace_free(workspace *);

/* images [batch][channels][height][width] → logits [batch][classes]. Returns the multiply-accumulates of all
   launches, over the batch; −1 without memory.
   seconds: NULL, or [operations + 1], to which the calling thread adds what each of its launches takes, and last
   what it waits for others between them. */
int64_t dnw_plan_run(const plan *, workspace *, const float *images, int64_t batch, float *logits, int threads,
                     double *seconds);

#endif
