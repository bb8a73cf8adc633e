/* legacy.c: a detection service as vendors shipped them in 2024. DELIBERATELY BROKEN.
 *
 * What it is: a service that reads a content file and lets it drive a small interpreter. The table
 * of inputs has 20 entries; nobody checks that the content asks for one of those 20. Content that
 * names input 21 makes the interpreter read past the table: SIGSEGV, as on 19 July 2024.
 * What it is not: part of Andon. It stands for somebody else's program that Andon has to carry.
 *
 *   cc -O0 -o legacy-sensor legacy.c        then        legacy-sensor CONTENT-FOLDER
 *
 * Content, FOLDER/channel.txt, one rule per line (# begins a comment):
 *   rule NAME input N value TEXT [after EVENTS] [wait] [quarantine FILE]
 * after EVENTS: the rule sleeps until so many events (one a second) were seen.
 * wait: the interpreter waits until the input has the value; nothing ever changes it.
 * quarantine FILE: on a match, FILE (below $ANDON_STATE) is moved away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <unistd.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { INPUTS = 20, RULES_MAX = 256 };

struct rule {
    char name[64], value[64], quarantine[64];
    unsigned input, after;
    int wait;
};
static struct rule rules[RULES_MAX];
static int rule_count;
static pid_t parent;
static const char **inputs; /* ends exactly at a page's edge: entry 20 is not ours to read */

static void notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof to.sun_path) return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@') to.sun_path[0] = 0; /* abstract name */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, size);
    close(fd);
}

static void make_inputs(void) {
    long page = sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (two == MAP_FAILED || munmap(two + page, page) != 0 ||
        mmap(two + page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        exit(3);
    inputs = (const char **)(two + page) - INPUTS;
    static const char *event[INPUTS] = {"execve", "/usr/bin/backup", "root", "/", "x86_64"};
    for (int i = 0; i < INPUTS; i++) inputs[i] = event[i] ? event[i] : "";
}

static int read_content(const char *folder) {
    char path[4096], line[512];
    snprintf(path, sizeof path, "%s/channel.txt", folder);
    FILE *file = fopen(path, "re");
    if (!file) return perror(path), 0;
    while (fgets(line, sizeof line, file)) {
        struct rule *r = &rules[rule_count];
        char *word = strtok(line, " \n"), *key;
        if (!word || strcmp(word, "rule") != 0 || rule_count == RULES_MAX) continue;
        memset(r, 0, sizeof *r);
        if (!(word = strtok(NULL, " \n"))) continue;
        snprintf(r->name, sizeof r->name, "%s", word);
        while ((key = strtok(NULL, " \n"))) {
            if (!strcmp(key, "wait")) { r->wait = 1; continue; }
            if (!(word = strtok(NULL, " \n"))) break;
            if (!strcmp(key, "input")) r->input = (unsigned)atoi(word); /* 1 … 20, "surely" */
            if (!strcmp(key, "after")) r->after = (unsigned)atoi(word);
            if (!strcmp(key, "value")) snprintf(r->value, sizeof r->value, "%s", word);
            if (!strcmp(key, "quarantine")) snprintf(r->quarantine, sizeof r->quarantine, "%s", word);
        }
        if (r->input > 0) rule_count++;
    }
    fclose(file);
    return rule_count > 0;
}

static void quarantine(const char *name) {
    const char *state = getenv("ANDON_STATE");
    char from[4096], to[4200];
    snprintf(from, sizeof from, "%s/%s", state ? state : ".", name);
    snprintf(to, sizeof to, "%s.quarantined", from);
    rename(from, to); /* the false positive that keeps beating: the file is gone */
}

/* Sleeps; leaves when its supervisor is gone, so that no try-out leaves processes behind. */
static void rest(unsigned microseconds) {
    usleep(microseconds);
    if (getppid() != parent) exit(0);
}

static void interpret(const struct rule *r, unsigned events) {
    if (events < r->after) return;
    const char *input = inputs[r->input - 1]; /* the bug: 21 of 20 */
    while (r->wait && strcmp(input, r->value) != 0) rest(1000);
    if (strcmp(input, r->value) == 0 && r->quarantine[0]) quarantine(r->quarantine);
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: legacy-sensor CONTENT-FOLDER\n"), 2;
    parent = getppid();
    make_inputs();
    if (!read_content(argv[1])) return 1;
    notify("READY=1");
    for (unsigned events = 1;; events++) {
        for (int i = 0; i < rule_count; i++) interpret(&rules[i], events);
        notify("WATCHDOG=1");
        rest(1000000);
    }
}
