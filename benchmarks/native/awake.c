/* Keeps every CPU out of deep idle, with busy loops that yield to anything else (SCHED_IDLE): otherwise the time a
 * virtual machine takes to wake up is most of what a single connection measures. Ends with its parent. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static void spin_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    struct sched_param none = { 0 };
    if (sched_setscheduler(0, SCHED_IDLE, &none)) {
        perror("awake: SCHED_IDLE");
        _exit(1);
    }
    for (;;) {
#if defined(__x86_64__)
        __asm__ volatile("pause");
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
}

int main(void) {
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    pid_t first = getpid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int cpu = 1; cpu < cpus; cpu++) {
        if (fork()) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == first) spin_on(cpu);
        return 1;
    }
    spin_on(0);
}
