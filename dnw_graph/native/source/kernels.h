/* The kernels that exist once per instruction set, and what they are given.

   A map is [height][pitch] floats, pitch a multiple of 8; lanes from `width` to `pitch` hold anything. Maps of a
   buffer lie `stride` floats apart. A buffer may be a ring: row y of a map then is where y & ring says; ring is
   the number of its rows, a power of 2, less 1, or −1 (all ones) where every row has its place.
   No kernel allocates, locks or keeps state. */

#ifndef DNW_KERNELS_H
#define DNW_KERNELS_H

#include <stdint.h>

enum { MOST_LANES = 16 };

typedef struct {
    int32_t offset; /* of the source's map in the buffer of sources, in floats */
    float weight;
} edge;

typedef struct {
    const float *sources;
    float *targets;
    int64_t target_stride;
    const int32_t *pointer; /* [blocks · targets + 1]: edges from block b of the sources to target t are pointer[i] .. */
                            /* pointer[i + 1], i = b · targets + t */
    const edge *edges;
    const float *bias; /* [targets], or NULL */
    const float *base; /* maps that are there before any message, or NULL; target t has number base_row[t] of */
    const int32_t *base_row; /* them (-1: none) */
    int64_t base_stride;
    const float *carried; /* maps of which target t adds number carry[t] (-1: none), or NULL */
    int64_t carried_stride;
    const int32_t *carry;
    int pitch, source_ring, target_ring; /* see below; base and carried maps are never rings */
    int num_targets, blocks;
    int tile; /* pixels of all sources of a block that are worth keeping in cache */
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
    int window; /* 0: all pixels, after scale, shift and ReLU; 1: rows and columns 2 and 3, as they are */
    const float *scale, *shift;
    float *out; /* [channels] */
} pool_arguments;

typedef struct {
    const float *in;  /* [images][length], length a multiple of 16, zero-padded */
    float *out;       /* [images][classes] */
    int images, length, classes;
    const float *weight; /* [classes][length] */
    const float *bias;   /* [classes] */
} linear_arguments;

/* A matrix [rows][columns] in two pieces: rows from `split` on lie in `rest`. */
typedef struct {
    float *first, *rest;
    int64_t split;
} pieces;

static inline float *row_of(const pieces *p, int64_t row, int64_t columns) {
    return row < p->split ? p->first + row * columns : p->rest + (row - p->split) * columns;
}

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

/* What a product packs at a time, in bytes, if one tile is not more: half a second-level cache. */
enum { PACKED_BYTES = 256 * 1024 };

/* Floats that a product of so many sources needs to pack tiles into, the widest being 8 vectors. */
static inline int64_t product_floats(int64_t num_sources) {
    const int64_t one_tile = num_sources * 8 * MOST_LANES, all = PACKED_BYTES / (int64_t)sizeof(float);
    return one_tile > all ? one_tile : all;
}

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
    int64_t levels, images, carry; /* carry: nodes of the last level that hear their twin in the one before, too */
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

/* Floats of scratch that a node operation or a stem needs for maps of this width, per thread. */
int64_t dnw_scratch_floats(int in_width, int in_channels);

#endif
