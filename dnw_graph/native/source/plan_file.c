/* A plan from a file (dnw_graph/runtime/plan_file.py writes it):

   "DNWPLAN" and a 0; ten int64, see `counts`; 16 bytes of 0; mean [3] and std [3], float32;
   tables, int64; edges; constants, float32; numbers, int32; names of the classes, each ended by a 0. */
#include "dnw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

#define VERSION 1
#define MOST_BYTES ((int64_t)1 << 30) /* of a file, and of an image's maps */

typedef struct {
    int64_t version, tables, edges, constants, numbers, names;
    int64_t header_bytes, buffer_bytes, operation_bytes, group_bytes;
} counts;

enum { HEAD = 8 + sizeof(counts) + 16 + 6 * sizeof(float) };

typedef struct {
    plan *plan;
    workspace *space;
    int threads;
    char *file;
} inner;

static char *content(const char *path, int64_t *size, const char **why) {
    FILE *file = fopen(path, "rb");
    *why = "cannot be read";
    if (!file) return 0;
    char *data = 0;
    if (!fseek(file, 0, SEEK_END) && (*size = ftell(file)) >= HEAD && *size <= MOST_BYTES && !fseek(file, 0, SEEK_SET)) {
        *why = "there is no memory for the file";
        data = malloc((size_t)*size);
        if (data && fread(data, 1, (size_t)*size, file) != (size_t)*size) {
            *why = "cannot be read";
            free(data);
            data = 0;
        }
    } else
        *why = "is no plan file";
    fclose(file);
    return data;
}

/* `count` items of `size` bytes at *place, which goes on behind them; NULL if the file ends before. */
static const void *take(const char *file, int64_t bytes, int64_t *place, int64_t count, int64_t size) {
    if (count < 0 || count > (bytes - *place) / size) return 0;
    const void *found = file + *place;
    *place += count * size;
    return found;
}

/* Pointers to the names, or 0 if they are not `classes` texts. */
static int name_classes(dnw_network *n, const char *names, int64_t bytes) {
    if (!bytes) return 1;
    int64_t ends = 0;
    for (int64_t i = 0; i < bytes; i++) ends += !names[i];
    if (ends != n->classes || names[bytes - 1]) return 0;
    const char **places = malloc((size_t)ends * sizeof *places);
    if (!places) return 0;
    for (int64_t i = 0; i < ends; i++, names += strlen(names) + 1) places[i] = names;
    n->names = places;
    return 1;
}

static const char *fill(dnw_network *n, int64_t bytes) {
    inner *own = n->inner;
    counts c;
    memcpy(&c, own->file + 8, sizeof c);
    if (memcmp(own->file, "DNWPLAN", 8)) return "is no plan file";
    if (c.version != VERSION || c.header_bytes != sizeof(plan_header) || c.buffer_bytes != sizeof(plan_buffer) ||
        c.operation_bytes != sizeof(plan_operation) || c.group_bytes != sizeof(plan_group))
        return "was written by another version of dnw_runtime; write it anew";
    memcpy(n->mean, own->file + 8 + sizeof c + 16, sizeof n->mean);
    memcpy(n->std, own->file + 8 + sizeof c + 16 + sizeof n->mean, sizeof n->std);
    int64_t place = HEAD;
    const int64_t *tables = take(own->file, bytes, &place, c.tables, sizeof(int64_t));
    const edge *edges = tables ? take(own->file, bytes, &place, c.edges, sizeof(edge)) : 0;
    const float *constants = edges ? take(own->file, bytes, &place, c.constants, sizeof(float)) : 0;
    const int32_t *numbers = constants ? take(own->file, bytes, &place, c.numbers, sizeof(int32_t)) : 0;
    const char *names = numbers ? take(own->file, bytes, &place, c.names, 1) : 0;
    if (!names || place != bytes) return "is damaged: its end is missing, or there is more";
    const int status = dnw_plan_new(tables, c.tables, constants, c.constants, numbers, c.numbers, edges, c.edges, "",
                                    &own->plan);
    if (status == DNW_NO_MEMORY) return "there is no memory for the network";
    if (status != DNW_DONE) return "is damaged: its plan leads out of its memory";
    const plan_header *h = &own->plan->header;
    if (h->shared_floats + h->thread_floats + h->scratch_floats > MOST_BYTES / (int64_t)sizeof(float))
        return "wants more than 1 GiB for the maps of an image";
    n->channels = (int)h->image_channels, n->height = (int)h->image_height, n->width = (int)h->image_width;
    n->classes = (int)h->classes;
    return name_classes(n, names, c.names) ? 0 : "is damaged: its names are not those of its classes";
}

dnw_network *dnw_open(const char *path, const char **why) {
    dnw_network *n = calloc(1, sizeof *n);
    inner *own = calloc(1, sizeof *own);
    *why = "there is no memory for the network";
    if (n) n->inner = own;
    if (n && own) {
        int64_t bytes = 0;
        own->file = content(path, &bytes, why);
        if (own->file) *why = fill(n, bytes);
        if (own->file && !*why) return n;
    }
    dnw_close(n);
    if (!n) free(own);
    return 0;
}

int dnw_run(const dnw_network *n, const float *images, int64_t batch, float *logits, int threads) {
    inner *own = n->inner;
    if (batch < 1) return 1;
    threads = threads < 1 ? 1 : threads > 256 ? 256 : threads;
    if (own->threads != threads) {
        dnw_workspace_free(own->space);
        own->space = dnw_workspace_new(own->plan, threads);
        own->threads = own->space ? threads : 0;
    }
    return own->space && dnw_plan_run(own->plan, own->space, images, batch, logits, threads, 0) >= 0;
}

void dnw_close(dnw_network *n) {
    inner *own = n ? n->inner : 0;
    if (own) {
        dnw_workspace_free(own->space);
        dnw_plan_free(own->plan);
        free(own->file);
        free(own);
    }
    if (n) free((void *)n->names);
    free(n);
}
