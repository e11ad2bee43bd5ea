/* The head: pooling of each map to one number, and the dense classifier. */

static void pool(const pool_arguments *a, int first, int end) {
    for (int c = first; c < end; c++) {
        const float *z = a->in + c * a->in_stride;
        float of = a->scale ? a->scale[c] : 1.0f, by = a->shift ? a->shift[c] : 0.0f;
        if (a->instance) instance_norm(z, a->height, a->width, a->pitch, a->eps, &of, &by);
        if (a->window) {
            const float *row = z + 2 * a->pitch;
            a->out[c] = 0.25f * (row[2] + row[3] + row[a->pitch + 2] + row[a->pitch + 3]) * of + by;
            continue;
        }
        const vec scale = splat(of), shift = splat(by);
        vec sum = splat(0.0f);
        for (int y = 0; y < a->height; y++)
            for (int x = 0; x < a->width; x += LANES)
                sum += keep(relu(load(z + y * a->pitch + x) * scale + shift), first_lanes(a->width - x));
        a->out[c] = sum_of_lanes(sum) / (float)(a->height * a->width);
    }
}

/* C classes of I images: each row of weights is read once for all of them. */
#define LINEAR_TILE(C, I)                                                                                     \
    INLINE void linear_##C##_##I(const linear_arguments *a, int class, int image) {                           \
        vec sum[C][I];                                                                                        \
        for (int c = 0; c < C; c++)                                                                           \
            for (int i = 0; i < I; i++) sum[c][i] = splat(0.0f);                                              \
        const float *weight = a->weight + (int64_t)class * a->length;                                         \
        const float *in = a->in + (int64_t)image * a->length;                                                 \
        for (int x = 0; x < a->length; x += LANES)                                                            \
            for (int c = 0; c < C; c++) {                                                                     \
                const vec times = load(weight + c * a->length + x);                                           \
                for (int i = 0; i < I; i++) sum[c][i] += times * load(in + i * a->length + x);                \
            }                                                                                                 \
        for (int c = 0; c < C; c++)                                                                           \
            for (int i = 0; i < I; i++)                                                                       \
                a->out[(int64_t)(image + i) * a->classes + class + c] =                                       \
                    a->bias[class + c] + sum_of_lanes(sum[c][i]);                                             \
    }

LINEAR_TILE(4, 1)
LINEAR_TILE(1, 1)
LINEAR_TILE(4, 2)
LINEAR_TILE(1, 2)

static void linear(const linear_arguments *a, int first_class, int end_class) {
    for (int class = first_class; class < end_class;) {
        const int four = class + 4 <= end_class;
        int image = 0;
        for (; image + 2 <= a->images; image += 2)
            four ? linear_4_2(a, class, image) : linear_1_2(a, class, image);
        if (image < a->images) four ? linear_4_1(a, class, image) : linear_1_1(a, class, image);
        class += four ? 4 : 1;
    }
}
