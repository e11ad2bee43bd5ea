/* All that Python calls: the functions of the library, and the structures that they are given.

   dnw_graph/native/structures.py has the structures field for field, dnw_graph/native/library.py the functions. */

#ifndef DNW_API_H
#define DNW_API_H

#include <stdint.h>

/* What functions return that say `status`. */
enum { DNW_BAD_PLAN = -2, DNW_NO_MEMORY = -1, DNW_NO_INSTRUCTIONS = 0, DNW_DONE = 1 };

typedef struct {
    int32_t offset; /* of the source's map in the buffer of sources, in floats */
    float weight;
} edge;

/* A matrix [rows][columns] in two pieces: rows from `split` on lie in `rest`. */
typedef struct {
    float *first, *rest;
    int64_t split;
} pieces;

typedef struct {
    pieces sources, targets;
    int64_t num_sources, num_targets, columns;
    const int64_t *pointer, *source;
    const float *value;
    int add; /* to what the targets hold */
} product_arguments;

typedef struct {
    pieces g;       /* [targets][columns] */
    const float *h; /* [sources][columns] */
    int64_t num_sources, num_targets, columns;
    const int64_t *pointer, *source;
    float *out; /* [edges] */
} edge_arguments;

/* A node operation in training: maps [channels][images][height][width] of states, and the norm's constants. */
typedef struct {
    const float *z;
    const float *mean, *rstd; /* [channels], or [channels][images] where per_map */
    const float *scale, *shift; /* [channels] */
    const float *kernel; /* [channels][9] */
    int64_t channels, images;
    int height, width, step, per_map;
} node_maps;

/* Where its gradients go. through_statistics: mean and rstd depend on z. */
typedef struct {
    float *z, *scale, *shift, *kernel;
    int through_statistics;
} node_gradients;

/* A stage in training whose images do not depend on each other: levels 0 .. levels − 1 send to later ones, the last
   only listens; maps [height][width], as large in all levels. Each image goes through all levels at once. */
typedef struct {
    int64_t levels, images, start; /* the last level starts from so many last states of the one before; 0: from nothing */
    int height, width;
    float eps;
    const int64_t *sizes; /* [levels + 1] nodes of each level */
    int64_t senders, between; /* nodes of all levels but the last; of these, all but level 0 */
    const int64_t *heard; /* [between + nodes of the last level + 1]: where the edges to each listener begin */
    const edge *edges; /* offset: of the sender's map among all senders' */
    const int64_t *sent; /* [senders + 1]: where the edges of each sender begin */
    const edge *back; /* offset: of the listener's map among all listeners' */
    const float *scale, *shift, *kernel; /* of the senders */
    const float *z; /* [nodes of level 0][images][pixels] */
    float *states; /* [images][between][pixels] */
    float *mean, *variance; /* [images][senders] */
    float *out; /* forward: the last level's states [nodes][images][pixels] */
    /* Backward, for images `first_image` .. `first_image + part`: */
    const float *g; /* ∂L/∂out, like out */
    int64_t first_image, part;
    float *grad_z; /* like z */
    float *grad_states; /* [between][part][pixels], or NULL */
    float *h; /* what senders sent, [senders][part][pixels], or NULL */
} stage_maps;

enum { NODE_SUMS = 16 }; /* gradients of a node's parameters: of its kernel 9, then shift, scale; the rest is 0 */

/* How a stage's edges are given: for each block, sending level by sending level, those to its targets. */
typedef struct {
    const int64_t *pointer, *source; /* [targets + 1], [edges]: sources are counted within their level */
    const float *value;
    int64_t targets;
} stage_block;

/* A network in inference is a list of operations on buffers of maps, made for one size of images.

   Every field is an int64 so that Python can hand over tables. Places in the constants count floats, places in
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
    int64_t base, base_stride, base_row; /* constant maps that are there before any message */
    int64_t pointer, edges;
    int64_t added, added_map, added_row; /* a buffer and its first map, whose maps are there, too */
    int64_t tile;  /* pixels of a tile of MESSAGES */
    int64_t chunks; /* of its sources: edges are sorted by chunk, then by target */
    int64_t eps;   /* place in the constants; POOL: an instance norm comes first */
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

#pragma GCC visibility push(default)

/* Bytes of a structure of that name; −1: there is none. */
int64_t dnw_size_of(const char *structure);

/* The instruction set of that name, or the best for an empty name; NULL if this processor cannot run it. */
const char *dnw_instructions(const char *name);

/* The OpenMP of the program, on whose threads training runs. */
void dnw_use_openmp(void *gomp_parallel, void *omp_get_thread_num, void *omp_get_num_threads);

/* Training. */

/* targets [num_targets][columns] = or, where `add`, += edges · sources [num_sources][columns]. Returns a status. */
int dnw_product(const product_arguments *, int threads, const char *instructions);

/* out[e] = Σ over columns of g[target of e] · h[source of e]. Returns a status. */
int dnw_edge_products(const edge_arguments *, int threads, const char *instructions);

/* Mean and biased variance of each node, or of each map; h; and gradients for g = ∂L/∂h. Return a status. */
int dnw_statistics(const node_maps *, float *mean, float *variance, int threads, const char *instructions);
int dnw_node_forward(const node_maps *, float *h, int threads, const char *instructions);
int dnw_node_backward(const node_maps *, const float *g, const node_gradients *, int threads,
                      const char *instructions);

/* The edges of all blocks by listener and by sender, as stage_maps wants them; `next`: room for [senders + listeners]. */
void dnw_stage_edges(const stage_block *, const int64_t *sizes, int64_t levels, int64_t pixels, int64_t *heard,
                     edge *edges, int64_t *sent, edge *back, int64_t *next);

/* sums [senders][NODE_SUMS]: gradients of the senders' parameters over the part. Return a status. */
int dnw_stage_forward(const stage_maps *, int threads, const char *instructions);
int dnw_stage_backward(const stage_maps *, double *sums, int threads, const char *instructions);

/* Inference. */

/* Floats of scratch that a node operation or a stem needs for maps of this width, per thread. */
int64_t dnw_scratch_floats(int in_width, int in_channels);

/* tables: header, buffers, operations, groups, one after the other. Copies everything to *made. Returns a status:
   DNW_BAD_PLAN where some number would lead out of the plan's memory. */
int dnw_plan_new(const int64_t *tables, int64_t num_tables, const float *constants, int64_t num_constants,
                 const int32_t *numbers, int64_t num_numbers, const edge *edges, int64_t num_edges,
                 const char *instructions, plan **made);
void dnw_plan_free(plan *);

/* What one caller at a time needs to run the plan with up to `threads` threads; NULL without memory. */
workspace *dnw_workspace_new(const plan *, int threads);
void dnw_workspace_free(workspace *);

/* images [batch][channels][height][width] → logits [batch][classes]. Returns the multiply-accumulates of all
   launches, over the batch; −1 without memory.
   seconds: NULL, or [operations + 1], to which the calling thread adds what each of its launches takes, and last
   what it waits for others between them. */
int64_t dnw_plan_run(const plan *, workspace *, const float *images, int64_t batch, float *logits, int threads,
                     double *seconds);

#pragma GCC visibility pop

#endif
