/* A stage in training, image by image: what one image needs stays in a core's second-level cache through all levels. */

#define LISTEN(N)                                                                                             \
    static void listen_##N(const edge *e, const edge *end, const float *maps, float *to) {                    \
        tile_##N(e, end, maps, to, 0.0f, 0, 0, 0);                                                            \
    }

LISTEN(1)
LISTEN(2)
LISTEN(3)
LISTEN(4)
#if TILE_MAX > 7
LISTEN(8)
#endif

/* to [pixels] = Σ over edges of weight · map. */
INLINE void listen(const edge *e, const edge *end, const float *maps, float *to, int64_t pixels) {
    int64_t at = 0;
#if TILE_MAX > 7
    for (; at + 8 * LANES <= pixels; at += 8 * LANES) listen_8(e, end, maps + at, to + at);
#endif
    for (; at + 4 * LANES <= pixels; at += 4 * LANES) listen_4(e, end, maps + at, to + at);
    static void (*const rest[])(const edge *, const edge *, const float *, float *) = {0, listen_1, listen_2, listen_3};
    if (at < pixels) rest[(pixels - at) / LANES](e, end, maps + at, to + at);
}

/* What sender `node` holds of an image: level 0's maps lie in z. */
INLINE const float *held(const stage_maps *a, int64_t image, int64_t node) {
    const int64_t pixels = (int64_t)a->height * a->width;
    return node < a->sizes[0] ? a->z + (node * a->images + image) * pixels
                              : a->states + (image * a->between + node - a->sizes[0]) * pixels;
}

/* Lane i is the sum of the lanes of v[i]; v is used up. */
INLINE vec sums_of(vec v[LANES]) {
    transpose(v);
    for (int i = 1; i < LANES; i++) v[0] += v[i];
    return v[0];
}

/* Mean and biased variance of LANES maps of at most 2048 pixels: sums that short are exact enough in float32. */
INLINE void moments_of_maps(const float *const z[LANES], int64_t pixels, vec *mean, vec *variance) {
    const vec each = splat(1.0f / (float)pixels);
    vec sum[LANES], left[LANES];
    for (int i = 0; i < LANES; i++) {
        sum[i] = load(z[i]);
        for (int64_t p = LANES; p < pixels; p += LANES) sum[i] += load(z[i] + p);
    }
    const vec centre = sums_of(sum) * each;
    float of[LANES];
    store(of, centre);
    for (int i = 0; i < LANES; i++) {
        sum[i] = left[i] = (vec){0};
        for (int64_t p = 0; p < pixels; p += LANES) {
            const vec d = load(z[i] + p) - splat(of[i]);
            left[i] += d, sum[i] += d * d;
        }
    }
    /* Around the rounded mean, which the sum of what is left then corrects. */
    const vec rest = sums_of(left) * each, spread = sums_of(sum) * each - rest * rest;
    *mean = centre + rest;
    *variance = (vec)((ivec)spread & ~(spread < splat(0.0f)));
}

/* Of the nodes [first, end). */
INLINE void statistics_of_level(const stage_maps *a, int64_t image, int64_t first, int64_t end, int64_t pixels) {
    for (int64_t node = first; node < end; node += LANES) {
        const float *z[LANES];
        const int count = end - node < LANES ? (int)(end - node) : LANES;
        for (int i = 0; i < LANES; i++) z[i] = held(a, image, node + (i < count ? i : 0));
        vec mean, variance;
        moments_of_maps(z, pixels, &mean, &variance);
        memcpy(a->mean + image * a->senders + node, &mean, sizeof(float) * (size_t)count);
        memcpy(a->variance + image * a->senders + node, &variance, sizeof(float) * (size_t)count);
    }
}

INLINE void norms_of_level(const stage_maps *a, int64_t image, int64_t first, int64_t end, float *rstd) {
    const float *variance = a->variance + image * a->senders;
    for (int64_t node = first; node < end; node++) rstd[node - first] = 1.0f / __builtin_sqrtf(variance[node] + a->eps);
}

INLINE lane_norm norm_of_sender(const stage_maps *a, int64_t image, int64_t node, float rstd) {
    return (lane_norm){splat(a->mean[image * a->senders + node]), splat(rstd), splat(a->scale[node]),
                       splat(a->shift[node])};
}

#if defined(__clang__) && defined(__x86_64__)
typedef float streamed __attribute__((vector_size(LANES * 4), may_alias));
#define STREAM(to, value) __builtin_nontemporal_store((streamed)(value), (streamed *)(to))
#elif LANES == 8 && defined(__AVX__)
#define STREAM(to, value) __builtin_ia32_movntps256(to, value)
#elif LANES == 16 && defined(__AVX512F__)
#define STREAM(to, value) __builtin_ia32_movntps512(to, value)
#else
#define STREAM(to, value) store(to, value)
#endif

/* Makes what was streamed visible to other threads. */
INLINE void finish_streams(void) {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

/* Copies a map that is not read soon: past the caches, which hold what this image still needs. */
INLINE void stream(float *to, const float *from, int64_t pixels) {
    if ((uintptr_t)to % sizeof(vec))
        memcpy(to, from, sizeof(float) * (size_t)pixels);
    else
        for (int64_t p = 0; p < pixels; p += LANES) STREAM(to + p, load(from + p));
}

/* Where ∂L/∂z of sender `node` goes: among the listeners' g, or beyond the stage. */
INLINE float *gradient_to(const stage_maps *a, int64_t image, int64_t node, float *g) {
    const int64_t pixels = (int64_t)a->height * a->width;
    return node < a->sizes[0] ? a->grad_z + (node * a->images + image) * pixels : g + (node - a->sizes[0]) * pixels;
}

static void add_maps(float *to, const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) store(to + i, load(to + i) + load(from + i));
}

INLINE void kernel_of(const float *kernel, int turned, vec k[9]) {
    for (int i = 0; i < 9; i++) k[i] = splat(kernel[turned ? 8 - i : i]);
}

INLINE void stage_forward_of(const stage_maps *a, int n, int64_t image, float *h, float *active, float *rstd) {
    const int64_t pixels = (int64_t)a->height * n * LANES, last = a->sizes[a->levels];
    int64_t node = 0;
    for (int64_t level = 0; level < a->levels; level++) {
        const int64_t here = node, next = node + a->sizes[level];
        statistics_of_level(a, image, here, next, pixels);
        norms_of_level(a, image, here, next, rstd);
        for (; node < next; node++) {
            const lane_norm norm = norm_of_sender(a, image, node, rstd[node - here]);
            vec k[9];
            kernel_of(a->kernel + 9 * node, 0, k);
            activations(held(a, image, node), &norm, pixels, active);
            convolve_map(active, a->height, n, k, h + node * pixels);
        }
        const int ends = level + 1 == a->levels;
        const int64_t first = next - a->sizes[0], size = a->sizes[level + 1];
        for (int64_t t = 0; t < size; t++) {
            float *to = ends ? a->out + (t * a->images + image) * pixels
                             : a->states + (image * a->between + first + t) * pixels;
            listen(a->edges + a->heard[first + t], a->edges + a->heard[first + t + 1], h, to, pixels);
        }
    }
    for (int64_t i = a->start; i > 0; i--)
        add_maps(a->out + ((last - i) * a->images + image) * pixels, held(a, image, a->senders - i), pixels);
}

static void stage_forward(const stage_maps *a, int64_t first, int64_t end, float *scratch) {
    float *rstd = scratch, *active = scratch + a->senders, *h = active + (int64_t)a->height * a->width;
    for (int64_t image = first; image < end; image++)
        if (a->width == LANES)
            stage_forward_of(a, 1, image, h, active, rstd);
        else
            stage_forward_of(a, a->width / LANES, image, h, active, rstd);
}

/* What a node's parameters get from one image: NODE_SUMS floats, also added to those of the images before. */
INLINE void add_sums(const vec found[11], float *of_image, float *so_far) {
    for (int first = 0; first < NODE_SUMS; first += LANES) {
        vec part[LANES] = {{0}};
        for (int i = 0; i < LANES && first + i < 11; i++) part[i] = found[first + i];
        const vec sum = sums_of(part);
        store(of_image + first, sum), store(so_far + first, load(so_far + first) + sum);
    }
}

typedef struct {
    float *g;      /* [listeners][pixels]: ∂L/∂z of all of them, as soon as it is known */
    float *active, *gh; /* [pixels]: what a node's convolution reads, and ∂L/∂h */
    float *sums;   /* [senders][NODE_SUMS]: over images */
    float *average, *product, *rstd; /* of each node of a level, for one image; see through_norm */
} backward_scratch;

/* ∂L/∂z of the nodes [first, end) of a level, given that of all later ones. */
INLINE void level_backward_of(const stage_maps *a, int n, int64_t image, int64_t first, int64_t end,
                              const backward_scratch *s) {
    const int64_t pixels = (int64_t)a->height * n * LANES, at = image - a->first_image;
    norms_of_level(a, image, first, end, s->rstd);
    for (int64_t node = first; node < end; node++) {
        const float *z = held(a, image, node);
        float *gz = gradient_to(a, image, node, s->g);
        const lane_norm norm = norm_of_sender(a, image, node, s->rstd[node - first]);
        vec k[9], found[11] = {{0}};
        activations(z, &norm, pixels, s->active);
        if (a->h) {
            kernel_of(a->kernel + 9 * node, 0, k);
            convolve_map(s->active, a->height, n, k, s->gh);
            stream(a->h + (node * a->part + at) * pixels, s->gh, pixels);
        }
        if (a->sent[node] == a->sent[node + 1]) {
            memset(gz, 0, sizeof(float) * (size_t)pixels);
            continue;
        }
        listen(a->back + a->sent[node], a->back + a->sent[node + 1], s->g, s->gh, pixels);
        kernel_gradient(s->active, s->gh, a->height, n, found);
        kernel_of(a->kernel + 9 * node, 1, k);
        convolve_map(s->gh, a->height, n, k, gz);
        through_relu(s->active, z, &norm, pixels, gz, found + 9, found + 10);
        float sums[NODE_SUMS];
        add_sums(found, sums, s->sums + node * NODE_SUMS);
        s->average[node - first] = sums[9] / (float)pixels, s->product[node - first] = sums[10] / (float)pixels;
    }
    for (int64_t node = first; node < end; node++) {
        const int64_t i = node - first;
        if (a->sent[node] < a->sent[node + 1])
            through_norm(gradient_to(a, image, node, s->g), held(a, image, node), pixels,
                         a->mean[image * a->senders + node], s->rstd[i], a->scale[node], s->average[i], s->product[i]);
    }
}

INLINE void stage_backward_of(const stage_maps *a, int n, int64_t image, const backward_scratch *s) {
    const int64_t pixels = (int64_t)a->height * n * LANES, last = a->sizes[a->levels];
    const size_t bytes = sizeof(float) * (size_t)pixels;
    for (int64_t t = 0; t < last; t++)
        memcpy(s->g + (a->between + t) * pixels, a->g + (t * a->images + image) * pixels, bytes);
    for (int64_t level = a->levels, end = a->senders; level-- > 0; end -= a->sizes[level]) {
        level_backward_of(a, n, image, end - a->sizes[level], end, s);
        for (int64_t i = level + 1 == a->levels ? a->start : 0; i > 0; i--)
            add_maps(gradient_to(a, image, a->senders - i, s->g), s->g + (a->between + last - i) * pixels, pixels);
    }
    for (int64_t t = 0; t < (a->grad_states ? a->between : 0); t++)
        stream(a->grad_states + (t * a->part + image - a->first_image) * pixels, s->g + t * pixels, pixels);
}

enum { IMAGES_ADDED = 16 }; /* in float32, then in float64: long chains of additions lose digits */

static void stage_backward(const stage_maps *a, int64_t first, int64_t end, float *scratch, double *all) {
    const int64_t pixels = (int64_t)a->height * a->width, count = a->senders * NODE_SUMS;
    backward_scratch s = {.sums = scratch};
    s.average = s.sums + count, s.product = s.average + a->senders, s.rstd = s.product + a->senders;
    s.active = s.rstd + a->senders, s.gh = s.active + pixels, s.g = s.gh + pixels;
    memset(s.sums, 0, sizeof(float) * (size_t)count);
    for (int64_t image = first; image < end; image++) {
        if (a->width == LANES)
            stage_backward_of(a, 1, a->first_image + image, &s);
        else
            stage_backward_of(a, a->width / LANES, a->first_image + image, &s);
        if ((image - first) % IMAGES_ADDED < IMAGES_ADDED - 1 && image + 1 < end) continue;
        for (int64_t i = 0; i < count; i++) all[i] += s.sums[i];
        memset(s.sums, 0, sizeof(float) * (size_t)count);
    }
    finish_streams();
}
