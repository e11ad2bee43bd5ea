/* What this build and this processor are: sizes of structures, and which kernels can run. */
#include <string.h>

#include "kernel_table.h"

enum { STEM_ROWS = 9 }; /* rows of each channel that a strip of the stem reads */

int64_t dnw_scratch_floats(int in_width, int in_channels) {
    const int64_t pitch = in_width + 6 * MOST_LANES;
    const int64_t stem = STEM_ROWS * in_channels * pitch + 2 * MOST_LANES;
    const int64_t node = NODE_ROWS * pitch > NODE_FLOATS ? NODE_ROWS * pitch : NODE_FLOATS;
    return stem > node ? stem : node;
}

static int runs(const kernel_table *table) {
#if defined(__x86_64__)
    __builtin_cpu_init();
#if defined(DNW_EMULATE_AVX512)
    if (table == &dnw_avx512) table = &dnw_avx2;
#endif
    if (table == &dnw_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("fma");
    if (table == &dnw_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return table == &dnw_portable;
}

const kernel_table *dnw_kernels(const char *name) {
    static const kernel_table *const best_first[] = {
#if defined(__x86_64__)
        &dnw_avx512, &dnw_avx2,
#endif
        &dnw_portable};
    for (unsigned i = 0; i < sizeof best_first / sizeof *best_first; i++)
        if (runs(best_first[i]) && (!name || !*name || !strcmp(name, best_first[i]->name))) return best_first[i];
    return 0;
}

const char *dnw_instructions(const char *name) {
    const kernel_table *kernels = dnw_kernels(name);
    return kernels ? kernels->name : 0;
}

int64_t dnw_size_of(const char *structure) {
#define SIZE(NAME) {#NAME, sizeof(NAME)}
    static const struct {
        const char *name;
        int64_t bytes;
    } sizes[] = {SIZE(edge),        SIZE(product_arguments), SIZE(edge_arguments), SIZE(node_maps),  SIZE(node_gradients),
                 SIZE(stage_block), SIZE(stage_maps),        SIZE(plan_buffer),    SIZE(plan_group), SIZE(plan_operation),
                 SIZE(plan_header)};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!strcmp(structure, sizes[i].name)) return sizes[i].bytes;
    return -1;
}
