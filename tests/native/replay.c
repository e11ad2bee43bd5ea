/* Run every function of the library on stored inputs and compare with the stored results.

       replay cases.bin [INSTRUCTIONS]

   For processors that have no Python here; record_cases.py writes the file and says how it is laid out. Ends with
   exit code 1 where a number differs by more than 1e-4 of the largest of its array (of 1, if that is less). */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"

enum { PRODUCT, EDGE_PRODUCTS, NODE_CASE, STAGE_CASE, PLAN_CASE, KINDS };
enum { MOST_THREADS = 3, MOST_LEVELS = 8 };

static const char *instructions = "";
static int failures, number_of_case;

/* Arrays as they may come: floats need not lie at more than a multiple of 4, and end where their memory ends. */
typedef struct {
    char *memory;
    void *data;
    int64_t bytes;
} array;

static void *room(int64_t bytes, int64_t beside) {
    char *memory = aligned_alloc(64, (size_t)(bytes + beside + 63) / 64 * 64 + 64);
    if (!memory) exit(2);
    return memory;
}

static FILE *file;

static int next(array *a, int64_t beside) {
    int64_t bytes;
    if (fread(&bytes, sizeof bytes, 1, file) != 1) return 0;
    a->memory = room(bytes, beside), a->data = a->memory + beside, a->bytes = bytes;
    char padding[8];
    const size_t pad = (size_t)(-bytes & 7);
    if (fread(a->data, 1, (size_t)bytes, file) != (size_t)bytes || fread(padding, 1, pad, file) != pad) exit(2);
    return 1;
}

/* The arrays of one case, freed after it. */
static array held[64];
static int holding;

static void *hold(int64_t beside) {
    if (!next(&held[holding], beside)) exit(2);
    return held[holding++].data;
}

static float *floats(void) { return hold(4); }
static const int64_t *integers(void) { return hold(0); }
static int64_t bytes_held(void) { return held[holding - 1].bytes; }

static float *result(int64_t count) {
    array *a = &held[holding++];
    a->bytes = count * (int64_t)sizeof(float);
    a->memory = room(a->bytes, 4), a->data = a->memory + 4;
    /* What is not written is no number. */
    memset(a->data, 255, (size_t)a->bytes);
    return a->data;
}

static void release(void) {
    while (holding) free(held[--holding].memory);
}

static void compare(const char *what, int threads, const float *found, const float *expected, int64_t count) {
    float largest = 1;
    for (int64_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(expected[i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabsf(found[i] - expected[i]) <= 1e-4f * largest)) {
            printf("case %d, %d threads: %s[%lld] is %g, not %g\n", number_of_case, threads, what, (long long)i,
                   (double)found[i], (double)expected[i]);
            failures++;
            return;
        }
}

/* The expected array comes from the file, as long as the one that was found. */
typedef struct {
    const char *name;
    float *found;
    const float *expected;
    int64_t count;
} result_array;

static result_array expect(const char *name, int64_t more) {
    float *expected = floats();
    const int64_t count = bytes_held() / (int64_t)sizeof(float);
    return (result_array){name, result(count + more), expected, count};
}

static void compare_all(const result_array *all, int count, int threads) {
    for (int i = 0; i < count; i++) compare(all[i].name, threads, all[i].found, all[i].expected, all[i].count);
}

static void must(int status, const char *what) {
    if (status == DNW_DONE) return;
    printf("case %d: %s returned %d\n", number_of_case, what, status);
    failures++;
}

static pieces in_two(float *matrix, int64_t rows, int64_t split, int64_t columns, float *rest) {
    memcpy(rest, matrix + split * columns, sizeof(float) * (size_t)((rows - split) * columns));
    return (pieces){matrix, rest, split};
}

static void product(const int64_t *n) {
    const int64_t sources = n[1], targets = n[2], columns = n[3], split = n[4];
    product_arguments a = {.num_sources = sources, .num_targets = targets, .columns = columns, .add = (int)n[5]};
    a.pointer = integers(), a.source = integers(), a.value = floats();
    float *h = floats();
    a.sources = (pieces){h, h, sources};
    const float *before = floats();
    result_array z = expect("targets", 0);
    float *rest = result((targets - split) * columns);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        memcpy(z.found, before, sizeof(float) * (size_t)z.count);
        a.targets = in_two(z.found, targets, split, columns, rest);
        must(dnw_product(&a, threads, instructions), "dnw_product");
        memcpy(z.found + split * columns, rest, sizeof(float) * (size_t)((targets - split) * columns));
        compare_all(&z, 1, threads);
    }
}

static void edge_products(const int64_t *n) {
    const int64_t targets = n[2], columns = n[3], split = n[4];
    edge_arguments a = {.num_sources = n[1], .num_targets = targets, .columns = columns};
    a.pointer = integers(), a.source = integers();
    float *g = floats();
    a.h = floats();
    result_array gradient = expect("gradient of edges", 0);
    a.g = in_two(g, targets, split, columns, result((targets - split) * columns));
    a.out = gradient.found;
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        must(dnw_edge_products(&a, threads, instructions), "dnw_edge_products");
        compare_all(&gradient, 1, threads);
    }
}

static void node(const int64_t *n) {
    node_maps a = {.channels = n[1], .images = n[2], .height = (int)n[3], .width = (int)n[4], .step = (int)n[5]};
    a.per_map = (int)n[6];
    a.z = floats(), a.mean = floats(), a.rstd = floats(), a.scale = floats(), a.shift = floats(), a.kernel = floats();
    const float *g = floats();
    const result_array all[] = {expect("mean", 0),           expect("variance", 0),          expect("h", 0),
                                expect("gradient of z", 0),  expect("gradient of scale", 0), expect("gradient of shift", 0),
                                expect("gradient of kernel", 0)};
    const node_gradients to = {all[3].found, all[4].found, all[5].found, all[6].found, (int)n[7]};
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        must(dnw_statistics(&a, all[0].found, all[1].found, threads, instructions), "dnw_statistics");
        must(dnw_node_forward(&a, all[2].found, threads, instructions), "dnw_node_forward");
        must(dnw_node_backward(&a, g, &to, threads, instructions), "dnw_node_backward");
        compare_all(all, sizeof all / sizeof *all, threads);
    }
}

static void stage(const int64_t *n) {
    stage_maps a = {.levels = n[1], .images = n[2], .start = n[3], .height = (int)n[4], .width = (int)n[5]};
    a.sizes = integers();
    int64_t listeners = 0, edges = 0;
    for (int64_t level = 0; level < a.levels; level++) a.senders += a.sizes[level], listeners += a.sizes[level + 1];
    a.between = listeners - a.sizes[a.levels];
    stage_block blocks[MOST_LEVELS];
    for (int64_t level = 0; level < a.levels; level++) {
        blocks[level].pointer = integers();
        blocks[level].targets = bytes_held() / (int64_t)sizeof(int64_t) - 1;
        blocks[level].source = integers(), blocks[level].value = floats();
        edges += blocks[level].pointer[blocks[level].targets];
    }
    a.eps = *floats(), a.z = floats(), a.scale = floats(), a.shift = floats(), a.kernel = floats(), a.g = floats();
    const result_array all[] = {expect("out", 0),
                                expect("mean", 0),
                                expect("variance", 0),
                                expect("gradient of z", 0),
                                expect("gradient of scale", 0),
                                expect("gradient of shift", 0),
                                expect("gradient of kernel", 0),
                                expect("gradients of states", 1),
                                expect("h", 0)};
    const int64_t pixels = (int64_t)a.height * a.width;
    int64_t *places = room((int64_t)sizeof(int64_t) * (2 * (a.senders + listeners) + 2), 0);
    edge *by_end = room((int64_t)sizeof(edge) * 2 * edges, 0);
    int64_t *heard = places, *sent = heard + listeners + 1, *rest = sent + a.senders + 1;
    dnw_stage_edges(blocks, a.sizes, a.levels, pixels, heard, by_end, sent, by_end + edges, rest);
    a.heard = heard, a.sent = sent, a.edges = by_end, a.back = by_end + edges;
    a.states = result(a.images * a.between * pixels);
    a.out = all[0].found, a.mean = all[1].found, a.variance = all[2].found;
    a.grad_z = all[3].found, a.grad_states = all[7].found, a.h = all[8].found;
    a.part = a.images;
    double *sums = room((int64_t)sizeof(double) * a.senders * NODE_SUMS, 0);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        must(dnw_stage_forward(&a, threads, instructions), "dnw_stage_forward");
        must(dnw_stage_backward(&a, sums, threads, instructions), "dnw_stage_backward");
        for (int64_t i = 0; i < a.senders; i++) {
            for (int j = 0; j < 9; j++) all[6].found[9 * i + j] = (float)sums[i * NODE_SUMS + j];
            all[5].found[i] = (float)sums[i * NODE_SUMS + 9], all[4].found[i] = (float)sums[i * NODE_SUMS + 10];
        }
        compare_all(all, sizeof all / sizeof *all, threads);
    }
    free(places), free(by_end), free(sums);
}

static void whole_network(const int64_t *n) {
    const int64_t batch = n[1], macs = n[3];
    const int64_t *tables = integers();
    const int64_t num_tables = bytes_held() / (int64_t)sizeof(int64_t);
    const float *constants = floats();
    const int64_t num_constants = bytes_held() / (int64_t)sizeof(float);
    const int32_t *numbers = (const int32_t *)floats();
    const int64_t num_numbers = bytes_held() / (int64_t)sizeof(int32_t);
    const edge *edges = (const edge *)floats();
    const int64_t num_edges = bytes_held() / (int64_t)sizeof(edge);
    const float *images = floats();
    const result_array logits = expect("logits", 0);
    plan *made = 0;
    must(dnw_plan_new(tables, num_tables, constants, num_constants, numbers, num_numbers, edges, num_edges,
                      instructions, &made),
         "dnw_plan_new");
    for (int threads = 1; made && threads <= MOST_THREADS; threads++) {
        workspace *space = dnw_workspace_new(made, threads);
        if (!space) exit(2);
        const int64_t found = dnw_plan_run(made, space, images, batch, logits.found, threads, 0);
        if (found != macs) {
            printf("case %d: %lld MACs, not %lld\n", number_of_case, (long long)found, (long long)macs);
            failures++;
        }
        compare_all(&logits, 1, threads);
        dnw_workspace_free(space);
    }
    dnw_plan_free(made);
}

int main(int count, char **arguments) {
    static void (*const run[KINDS])(const int64_t *) = {product, edge_products, node, stage, whole_network};
    if (count < 2 || !(file = fopen(arguments[1], "rb"))) return 2;
    if (count > 2) instructions = arguments[2];
    for (array numbers; next(&numbers, 0); number_of_case++) {
        const int64_t *n = numbers.data;
        run[n[0]](n);
        release();
        free(numbers.memory);
    }
    fclose(file);
    printf("%d cases with %s, %d failures\n", number_of_case, dnw_instructions(instructions), failures);
    return failures > 0;
}
