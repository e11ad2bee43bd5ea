/* The kernels that exist once per instruction set (templates/), and what they are given.

   A map is [height][pitch] floats, pitch a multiple of 8; lanes from `width` to `pitch` hold anything. Maps of a
   buffer lie `stride` floats apart. A buffer may be a ring: row y of a map then is where y & ring says; ring is
   the number of its rows, a power of 2, less 1, or −1 (all ones) where every row has its place.
   No kernel allocates, locks or keeps state. */

#ifndef DNW_KERNEL_TABLE_H
#define DNW_KERNEL_TABLE_H

#include "api.h"

enum { MOST_LANES = 16 };

/* Maps that are there before any message: target t has number row[t] of them (−1: none). They are never rings. */
typedef struct {
    const float *maps; /* or NULL */
    int64_t stride;
    const int32_t *row;
} initial_maps;

typedef struct {
    const float *sources;
    float *targets;
    int64_t target_stride;
    const int32_t *pointer; /* [chunks · targets + 1]: edges from chunk c of the sources to target t are pointer[i] .. */
                            /* pointer[i + 1], i = c · targets + t */
    const edge *edges;
    const float *bias; /* [targets], or NULL */
    initial_maps there[2];
    int pitch, source_ring, target_ring;
    int num_targets, chunks;
    int tile; /* pixels of all sources of a chunk that are worth keeping in cache */
} messages_arguments;

typedef struct {
    const float *in;
    float *out;
    int64_t in_stride, out_stride;
    int in_height, in_width, in_pitch, out_width, out_pitch;
    int in_ring, out_ring;
    int step;     /* of the convolution: 1 or 2 */
    int instance; /* 0: scale and shift are the whole norm; 1: each map is first brought to mean 0, variance 1 */
    float eps;
    const float *scale, *shift; /* [channels] */
    const float *kernel;        /* [channels][9] */
    const float *bias;          /* [channels], or NULL */
    float *scratch;
} node_arguments;

/* Rows of output that a node operation makes from one filling of its scratch, the rows that they read with a step of 2,
   and the floats that are filled at a time if one strip of a map is not more. */
enum { NODE_STRIP = 16, NODE_ROWS = 2 * (NODE_STRIP - 1) + 3, NODE_FLOATS = 4096 };

typedef struct {
    const float *images; /* [in_channels][in_height][in_width], without padding */
    float *out;
    int64_t out_stride;
    int in_channels, in_height, in_width, out_width, out_pitch, out_ring;
    int step, rectify;
    const float *weight; /* [channels][in_channels][9] */
    const float *bias;   /* [channels], or NULL */
    float *scratch;
} stem_arguments;

typedef struct {
    const float *in;
    int64_t in_stride;
    int height, width, pitch;
    int window;   /* 0: all pixels, after norm and ReLU; 1: rows and columns 2 and 3, after the norm */
    int instance; /* as in node_arguments */
    float eps;
    const float *scale, *shift; /* [channels], or NULL: no norm */
    float *out; /* [channels] */
} pool_arguments;

typedef struct {
    const float *in;  /* [images][length], length a multiple of 16, zero-padded */
    float *out;       /* [images][classes] */
    int images, length, classes;
    const float *weight; /* [classes][length] */
    const float *bias;   /* [classes] */
} linear_arguments;

static inline float *row_of(const pieces *p, int64_t row, int64_t columns) {
    return row < p->split ? p->first + row * columns : p->rest + (row - p->split) * columns;
}

/* What a product packs at a time, in bytes, if one tile is not more: half a second-level cache. */
enum { PACKED_BYTES = 256 * 1024 };

/* Floats that a product of so many sources needs to pack tiles into, the widest being 8 vectors. */
static inline int64_t product_floats(int64_t num_sources) {
    const int64_t one_tile = num_sources * 8 * MOST_LANES, all = PACKED_BYTES / (int64_t)sizeof(float);
    return one_tile > all ? one_tile : all;
}

typedef struct {
    const char *name;
    void (*messages)(const messages_arguments *, int first_row, int end_row, int first, int end);
    void (*node)(const node_arguments *, int first_row, int end_row, int first, int end);
    void (*stem)(const stem_arguments *, int first_row, int end_row, int first, int end);
    void (*pool)(const pool_arguments *, int first, int end);
    void (*linear)(const linear_arguments *, int first_class, int end_class);
    /* targets[t] = or += Σ value · sources[source], columns first .. end of some targets. */
    void (*product)(const product_arguments *, int64_t first, int64_t end, int64_t first_target, int64_t end_target,
                    float *packed);
    void (*edge_products)(const edge_arguments *, int64_t first_target, int64_t end_target, float *packed, float *sums);
    void (*statistics)(const node_maps *, float *mean, float *variance, int64_t first_group, int64_t end_group);
    void (*node_forward)(const node_maps *, float *h, int64_t first, int64_t end, float *scratch);
    void (*node_backward)(const node_maps *, const float *g, const node_gradients *, int64_t first, int64_t end,
                          float *scratch);
    int64_t (*training_floats)(int height, int width); /* scratch that the two need */
    /* Images first .. end; backward counts them within the part. Its sums are [senders][NODE_SUMS]. */
    void (*stage_forward)(const stage_maps *, int64_t first, int64_t end, float *scratch);
    void (*stage_backward)(const stage_maps *, int64_t first, int64_t end, float *scratch, double *sums);
} kernel_table;

/* Scratch that a stage needs per thread: maps of all senders or listeners, two maps, sums of nodes. */
static inline int64_t stage_floats(const stage_maps *a) {
    const int64_t listeners = a->between + a->sizes[a->levels];
    const int64_t maps = (listeners > a->senders ? listeners : a->senders) + 2;
    return maps * a->height * a->width + a->senders * (NODE_SUMS + 3);
}

/* AVX2: the 8 pixels from `pixel` on, for AVX-512. */
void dnw_half_tile(const messages_arguments *, int64_t pixel, int64_t source, int64_t target, int first, int end);

extern const kernel_table dnw_portable, dnw_avx2, dnw_avx512;

/* The best table for this processor, or the one of that name if it can run here; NULL if it cannot. */
const kernel_table *dnw_kernels(const char *name);

#endif
