/* Workers spin for some microseconds between jobs, then sleep: back-to-back calls do not pay for waking. */
#include "team.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "api.h"

enum { MOST_WORKERS = 255, SPINS = 4000 };

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake_up = PTHREAD_COND_INITIALIZER;
/* Number of the job and, in the low byte, how many workers it wants: read together. */
static atomic_uint_fast64_t job;
static atomic_int unfinished, sleeping;
static int workers;
static void (*task)(void *, int, int);
static void *context;

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static uint64_t next_job(uint64_t seen) {
    for (int i = 0; i < SPINS; i++) {
        const uint64_t now = atomic_load_explicit(&job, memory_order_acquire);
        if (now != seen) return now;
        relax();
    }
    pthread_mutex_lock(&sleep_lock);
    atomic_fetch_add(&sleeping, 1);
    uint64_t now;
    while ((now = atomic_load(&job)) == seen) pthread_cond_wait(&wake_up, &sleep_lock);
    atomic_fetch_sub(&sleeping, 1);
    pthread_mutex_unlock(&sleep_lock);
    return now;
}

typedef struct {
    int number;
    uint64_t seen;
} worker_start;

static worker_start starts[MOST_WORKERS];

static void *work(void *argument) {
    const worker_start *start = argument;
    const int number = start->number;
    uint64_t seen = start->seen;
    for (;;) {
        seen = next_job(seen);
        const int wanted = (int)(seen & 255);
        if (number > wanted) continue;
        task(context, number, wanted + 1);
        atomic_fetch_sub_explicit(&unfinished, 1, memory_order_release);
    }
    return 0;
}

/* libgomp's entry points, which other OpenMP libraries have too. */
typedef void openmp_parallel(void (*)(void *), void *, unsigned, unsigned);
typedef int openmp_number(void);

static openmp_parallel *parallel;
static openmp_number *thread_number, *team_size;

/* A child process has no workers, whatever its parent had, and nor has its OpenMP, which would wait for them. */
static void after_fork(void) {
    parallel = 0;
    pthread_mutex_init(&owner, 0);
    pthread_mutex_init(&sleep_lock, 0);
    pthread_cond_init(&wake_up, 0);
    workers = 0;
    atomic_store(&sleeping, 0);
}

static void watch_forks(void) { pthread_atfork(0, 0, after_fork); }

static pthread_once_t watching = PTHREAD_ONCE_INIT;

static void start_workers(int wanted) {
    pthread_once(&watching, watch_forks);
    while (workers < wanted) {
        pthread_t thread;
        starts[workers].number = workers + 1;
        starts[workers].seen = atomic_load(&job);
        if (pthread_create(&thread, 0, work, &starts[workers])) return;
        pthread_detach(thread);
        workers++;
    }
}

typedef struct {
    void (*task)(void *, int, int);
    void *context;
} shared;

static void one_of_all(void *argument) {
    const shared *s = argument;
    s->task(s->context, thread_number(), team_size());
}

void dnw_together(void (*to_do)(void *, int, int), void *with, int threads) {
    if (threads > MOST_WORKERS + 1) threads = MOST_WORKERS + 1;
    if (threads < 2 || pthread_mutex_trylock(&owner)) {
        to_do(with, 0, 1);
        return;
    }
    if (parallel) {
        shared s = {to_do, with};
        parallel(one_of_all, &s, (unsigned)threads, 0);
        pthread_mutex_unlock(&owner);
        return;
    }
    start_workers(threads - 1);
    const int others = workers < threads - 1 ? workers : threads - 1;
    task = to_do, context = with;
    atomic_store(&unfinished, others);
    const uint64_t number = (atomic_load(&job) >> 8) + 1;
    atomic_store(&job, number << 8 | (uint64_t)others);
    if (atomic_load(&sleeping)) {
        pthread_mutex_lock(&sleep_lock);
        pthread_cond_broadcast(&wake_up);
        pthread_mutex_unlock(&sleep_lock);
    }
    to_do(with, 0, others + 1);
    for (int i = 0; atomic_load_explicit(&unfinished, memory_order_acquire); i++) i < SPINS ? relax() : (void)sched_yield();
    pthread_mutex_unlock(&owner);
}

void dnw_use_openmp(void *gomp_parallel, void *omp_get_thread_num, void *omp_get_num_threads) {
    pthread_once(&watching, watch_forks);
    parallel = (openmp_parallel *)gomp_parallel;
    thread_number = (openmp_number *)omp_get_thread_num;
    team_size = (openmp_number *)omp_get_num_threads;
}

void dnw_meet(barrier *b, int members) {
    if (members < 2) return;
    const int round = atomic_load_explicit(&b->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) + 1 == members) {
        atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&b->round, round + 1, memory_order_release);
        return;
    }
    for (int i = 0; atomic_load_explicit(&b->round, memory_order_acquire) == round; i++)
        i < SPINS ? relax() : (void)sched_yield();
}
