/* A team of threads that is kept between calls. */

#ifndef DNW_TEAM_H
#define DNW_TEAM_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct {
    atomic_int arrived, round;
} barrier;

/* Run task(context, thread, threads) on up to `threads` threads, the caller being thread 0; returns when all have.
   While another caller has the team, the caller does it alone, as thread 0 of 1.
   The threads are those of the program's own OpenMP, where it has told them, else ours: a program that goes back and
   forth between its threads and others' has both waiting for the same cores. */
void dnw_together(void (*task)(void *context, int thread, int threads), void *context, int threads);

/* Where a thread's share of `whole` begins; that of the next thread is where it ends. */
static inline int64_t share_of(int64_t whole, int thread, int threads) { return whole * thread / threads; }

/* Wait until all `members` threads have come. */
void dnw_meet(barrier *b, int members);

#endif
