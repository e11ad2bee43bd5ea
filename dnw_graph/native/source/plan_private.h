#ifndef DNW_PLAN_PRIVATE_H
#define DNW_PLAN_PRIVATE_H

#include "plan.h"

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

struct workspace {
    float *shared, *own, *pooled;
    int64_t thread_floats, batch;
    int threads;
};

/* Make room for the pooled vectors of a batch; 0 without memory. */
int dnw_workspace_batch(workspace *, int64_t batch, int64_t pooled);

#endif
