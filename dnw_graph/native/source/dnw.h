/* A trained network in C, from a plan file: `python -m dnw_runtime plan net.dnw -o net.plan` writes one.

   Link with the library that `python -m dnw_runtime library` names; `python -m dnw_runtime include` is where this is. */

#ifndef DNW_H
#define DNW_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int channels, height, width; /* of an image, which a plan has one size of */
    int classes;
    float mean[3], std[3];    /* a pixel from 0 to 1 goes in as (pixel − mean) / std */
    const char *const *names; /* [classes], UTF-8; NULL where they are not known */
    void *inner;
} dnw_network;

#pragma GCC visibility push(default)

/* NULL if the file cannot be read, is damaged or wants more than 1 GiB for its maps; *why is then a sentence. */
dnw_network *dnw_open(const char *path, const char **why);

/* images [batch][channels][height][width] → logits [batch][classes]. 0 without memory, else 1.
   A network is run by one thread of the program at a time, which has `threads` threads for it. */
int dnw_run(const dnw_network *, const float *images, int64_t batch, float *logits, int threads);

void dnw_close(dnw_network *);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
