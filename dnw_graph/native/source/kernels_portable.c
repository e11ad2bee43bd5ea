/* For any processor: vectors of 8, in the instructions that the compiler has for them. */
#include "kernel_table.h"

#define LANES 8
#define TILE_MAX 7
#define HALF_TILE(...) ((void)0)
#include "templates/all.h"

const kernel_table dnw_portable = {"portable", messages, node, stem, pool, linear, product, edge_products, statistics,
                             node_forward, node_backward, training_floats, stage_forward, stage_backward};
