/* What is behind the opaque types of api.h. */

#ifndef DNW_PLAN_H
#define DNW_PLAN_H

#include "kernel_table.h"

struct plan {
    const kernel_table *kernels;
    plan_header header;
    plan_buffer *buffers;
    plan_operation *operations;
    plan_group *groups;
    float *constants;
    int32_t *numbers;
    edge *edges;
};

enum { MOST_OPERATIONS = 63 }; /* of a group */

/* How many there are of each in a plan. */
typedef struct {
    int64_t constants, numbers, edges;
} plan_sizes;

struct workspace {
    float *shared, *own, *pooled;
    float *more; /* arenas like `shared` for all threads but the first, once they take images of their own */
    int64_t shared_floats, thread_floats, batch;
    int threads;
};

/* Make room for the pooled vectors of a batch and, where threads take whole images, for their maps; 0 without
   memory. */
int dnw_workspace_batch(workspace *, const plan *, int64_t batch, int whole_images);

/* Whether tables of `size` int64 are complete, and whether a plan leads nowhere out of its memory. */
int dnw_tables_fit(const int64_t *tables, int64_t size);
int dnw_plan_fits(const plan *, plan_sizes);

#endif
