/* How fast one core reads what lies in a cache: compiled and called by ceilings.py. */
#include <stdint.h>

typedef float vec __attribute__((vector_size(32), aligned(32)));

/* Sum of `count` floats, a multiple of 128, `times` over; sixteen sums so that no load waits for an addition. */
float read_over_and_over(const float *from, int64_t count, int64_t times) {
    vec sum[16] = {{0}};
    for (int64_t again = 0; again < times; again++) {
        const vec *next = (const vec *)from;
        for (int64_t i = 0; i < count / 8; i += 16, next += 16)
            for (int j = 0; j < 16; j++) sum[j] += next[j];
        __asm__ volatile("" : : : "memory");
    }
    float total = 0;
    for (int j = 0; j < 16; j++) total += sum[j][0];
    return total;
}
