/* classify net.plan image.ppm: the most probable class of an image of the network's own size.

   cc classify.c -I"$(python -m dnw_runtime include)" "$(python -m dnw_runtime library)" -o classify */
#include <dnw.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *file, const char *why) {
    fprintf(stderr, "%s: %s\n", file, why);
    return 1;
}

int main(int count, char **given) {
    if (count != 3) return fail("classify", "give a plan file and an image");
    const char *why;
    dnw_network *network = dnw_open(given[1], &why);
    if (!network) return fail(given[1], why);
    int width = 0, height = 0;
    FILE *file = fopen(given[2], "rb");
    if (!file || fscanf(file, "P6 %d %d 255", &width, &height) != 2 || getc(file) == EOF || network->channels != 3 ||
        width != network->width || height != network->height)
        return fail(given[2], "is no PPM image of the network's size");
    const int pixels = width * height;
    unsigned char *bytes = malloc(3 * pixels);
    float *image = malloc(3 * pixels * sizeof *image), *logits = malloc(network->classes * sizeof *logits);
    if (!bytes || !image || !logits) return fail(given[2], "there is no memory for the image");
    if (fread(bytes, 3, pixels, file) != (size_t)pixels) return fail(given[2], "ends too early");
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++)
            image[c * pixels + i] = (bytes[3 * i + c] / 255.0f - network->mean[c]) / network->std[c];
    if (!dnw_run(network, image, 1, logits, 1)) return fail(given[1], "there is no memory for a run");
    int best = 0;
    for (int k = 1; k < network->classes; k++) best = logits[k] > logits[best] ? k : best;
    printf("%d %s %.6g\n", best, network->names ? network->names[best] : "", logits[best]);
    free(bytes), free(image), free(logits), fclose(file);
    dnw_close(network);
    return 0;
}
