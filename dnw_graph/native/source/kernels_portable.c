/* Whatever the compiler makes of vectors of 8 on a processor that is not known. */
#include "kernels.h"

#define LANES 8
#define TILE_MAX 7
#define HALF_TILE(...) ((void)0)
#include "vector.h"
#include "messages.h"
#include "products.h"
#include "node.h"
#include "stem.h"
#include "head.h"
#include "lanes.h"
#include "node_training.h"
#include "stage_training.h"

const kernel_table dnw_portable = {"portable", messages, node, stem, pool, linear, product, edge_products, statistics,
                             node_forward, node_backward, training_floats, stage_forward, stage_backward};
