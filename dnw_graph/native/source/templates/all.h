/* Templates: the kernels, compiled once per instruction set. The file that includes this has set LANES, TILE_MAX and
   HALF_TILE and, with a pragma, the instruction set. Each file here uses those before it. */
#include "vector.h"
#include "lanes.h"
#include "messages.h"
#include "products.h"
#include "node.h"
#include "stem.h"
#include "head.h"
#include "norm.h"
#include "node_by_images.h"
#include "node_by_rows.h"
#include "node_training.h"
#include "stage_training.h"
