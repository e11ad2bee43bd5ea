/* The norm of a node operation in training: its moments, what it does to a vector, and the gradient through it. */

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
