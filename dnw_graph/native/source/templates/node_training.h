/* The node operation in training, on [channels][images][height][width] without padding: statistics of the norm, the
   operation, and its gradient, which computes the activations anew instead of keeping them. With images in lanes or
   with pixels of a row in lanes, whichever fits the maps. */

static void statistics(const node_maps *a, float *mean, float *variance, int64_t first, int64_t end) {
    const int64_t pixels = (int64_t)a->height * a->width, length = a->per_map ? pixels : pixels * a->images;
    for (int64_t group = first; group < end; group++)
        moments(a->z + group * length, length, mean + group, variance + group);
}

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
