/* The node operation in training, on [channels][images][height][width] without padding: statistics of the norm, the
   operation, and its gradient, which computes the activations anew instead of keeping them. */

/* Mean and biased variance of `length` floats, joined from parts that stay in cache (Chan, Golub, LeVeque 1979). */
static void moments(const float *z, int64_t length, float *mean, float *variance) {
    enum { PART = 2048 };
    double count = 0, average = 0, squares = 0;
    for (int64_t from = 0; from < length; from += PART) {
        const int64_t n = length - from < PART ? length - from : PART;
        const float *part = z + from;
        const double each = 1.0 / (double)n;
        vec sum[4] = {{0}};
        int64_t i = 0;
        for (; i + 4 * LANES <= n; i += 4 * LANES)
            for (int j = 0; j < 4; j++) sum[j] += load(part + i + j * LANES);
        double total = sum_of_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
        for (; i < n; i++) total += part[i];
        /* Around the rounded mean, which the sum of what is left then corrects. */
        const vec centre = splat((float)(total * each));
        vec left[4] = {{0}}, square[4] = {{0}};
        for (i = 0; i + 4 * LANES <= n; i += 4 * LANES)
            for (int j = 0; j < 4; j++) {
                const vec d = load(part + i + j * LANES) - centre;
                left[j] += d, square[j] += d * d;
            }
        double rest = sum_of_lanes((left[0] + left[1]) + (left[2] + left[3]));
        double spread = sum_of_lanes((square[0] + square[1]) + (square[2] + square[3]));
        for (; i < n; i++) {
            const double d = (double)part[i] - centre[0];
            rest += d, spread += d * d;
        }
        spread -= rest * rest * each;
        count += (double)n;
        const double step = centre[0] + rest * each - average, share = from ? (double)n / count : 1.0;
        average += step * share;
        squares += spread + step * step * (count - (double)n) * share;
    }
    const double spread = squares / count;
    *mean = (float)average;
    *variance = (float)(spread < 0 ? 0.0 : spread);
}

static void statistics(const node_maps *a, float *mean, float *variance, int64_t first, int64_t end) {
    const int64_t pixels = (int64_t)a->height * a->width, length = a->per_map ? pixels : pixels * a->images;
    for (int64_t group = first; group < end; group++)
        moments(a->z + group * length, length, mean + group, variance + group);
}

typedef struct {
    vec mean, rstd, scale, shift;
} lane_norm;

INLINE vec normed(vec z, const lane_norm *n) { return (z - n->mean) * n->rstd; }

INLINE vec activated(vec z, const lane_norm *n) { return relu(normed(z, n) * n->scale + n->shift); }

/* Gradients of one channel's parameters. */
typedef struct {
    double kernel[9], shift, scale;
} node_sums;

/* What `length` pixels of ∂L/∂(norm's output) become through the norm: slope · (gy − mean of gy − ẑ · mean of gy·ẑ). */
static void through_norm(float *gy, const float *z, int64_t length, float mean, float rstd, float scale,
                         double average, double product) {
    const vec slope = splat(scale * rstd), centre = splat(mean), inverse = splat(rstd);
    const vec constant = splat((float)average), along = splat((float)product);
    int64_t i = 0;
    for (; i + LANES <= length; i += LANES)
        store(gy + i, slope * (load(gy + i) - constant - (load(z + i) - centre) * inverse * along));
    for (; i < length; i++)
        gy[i] = scale * rstd * (gy[i] - (float)average - (z[i] - mean) * rstd * (float)product);
}

#include "node_by_images.h"
#include "node_by_rows.h"

static int by_rows(const node_maps *a) { return a->step == 1 && a->width % LANES == 0; }

static int64_t training_floats(int height, int width) {
    const int64_t images = images_floats(height, width), rows = rows_floats(height, width);
    return images > rows ? images : rows;
}

static void node_forward(const node_maps *a, float *h, int64_t first, int64_t end, float *scratch) {
    for (int64_t channel = first; channel < end; channel++)
        (by_rows(a) ? rows_forward : images_forward)(a, channel, h, scratch);
}

static void node_backward(const node_maps *a, const float *g, const node_gradients *to, int64_t first, int64_t end,
                          float *scratch) {
    const int64_t pixels = (int64_t)a->height * a->width;
    for (int64_t channel = first; channel < end; channel++) {
        node_sums sums = {{0}, 0, 0};
        (by_rows(a) ? rows_backward : images_backward)(a, channel, g, to, &sums, scratch);
        for (int i = 0; i < 9; i++) to->kernel[9 * channel + i] = (float)sums.kernel[i];
        to->shift[channel] = (float)sums.shift, to->scale[channel] = (float)sums.scale;
        if (a->per_map && to->through_statistics) continue;
        /* Of the whole batch, or no statistics at all. */
        const int64_t length = a->per_map ? pixels : pixels * a->images, maps = a->per_map ? a->images : 1;
        const double portion = to->through_statistics ? 1.0 / (double)length : 0.0;
        for (int64_t i = 0; i < maps; i++) {
            const int64_t at = channel * maps + i;
            through_norm(to->z + at * length, a->z + at * length, length, a->mean[at], a->rstd[at], a->scale[channel],
                         sums.shift * portion, sums.scale * portion);
        }
    }
}
