/* The plant of the command tests: N Modbus TCP devices with 100 holding registers and 100 coils each, served by libmodbus,
 * one thread a device. Device d listens on port base+d.
 *
 * What a device does is told on stdin, a line each, and confirmed by the line "ok N" (the Nth):
 *   d normal            as a device should
 *   d refuse CODE       writes are answered with the exception CODE and have no effect
 *   d clamp LOW HIGH    a written register ends up between LOW and HIGH; the answer repeats what was asked for
 *   d deaf              nothing is answered and nothing has an effect
 *   d swallow           writes have their effect, but from the first one on nothing is answered, reads neither
 *   d drop              the first write has no effect and is not answered, then the device is deaf
 *   d delay MS          every answer comes later by MS, and a write has its effect only then
 *   d set ADDRESS WORD  somebody turns a knob at the device
 *
 * Each write request that reached a device is a line of the log before it is answered:
 *   microseconds_of_UTC device function address value verdict      (verdict: done, clamped, refused, dropped, swallowed)
 * A request with more than one value gets a line for each. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DEVICES = 32, REGISTERS = 100, CLIENTS = 16 };
enum mode { NORMAL, REFUSE, CLAMP, DEAF, SWALLOW, DROP };

struct device {
    int index, listener;
    pthread_mutex_t lock;
    enum mode mode;
    int code, low, high, delay_ms;
    modbus_t *context;
    modbus_mapping_t *mapping;
};

static struct device devices[DEVICES];
static FILE *log_file;

static void die(const char *what) {
    fprintf(stderr, "device: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(fd, 16) != 0) die("listen");
    return fd;
}

static int word(const uint8_t *bytes) { return bytes[0] << 8 | bytes[1]; }

/* The number of values that the request writes; 0 for one that writes nothing. */
static int written(const uint8_t *pdu) {
    switch (pdu[0]) {
        case MODBUS_FC_WRITE_SINGLE_COIL:
        case MODBUS_FC_WRITE_SINGLE_REGISTER:
        case MODBUS_FC_MASK_WRITE_REGISTER: return 1;
        case MODBUS_FC_WRITE_MULTIPLE_COILS:
        case MODBUS_FC_WRITE_MULTIPLE_REGISTERS: return word(pdu + 3);
        default: return 0;
    }
}

static int value_of(const uint8_t *pdu, int i) {
    switch (pdu[0]) {
        case MODBUS_FC_WRITE_SINGLE_COIL: return pdu[3] == 0xFF;
        case MODBUS_FC_WRITE_MULTIPLE_COILS: return pdu[6 + i / 8] >> (i % 8) & 1;
        case MODBUS_FC_WRITE_MULTIPLE_REGISTERS: return word(pdu + 6 + 2 * i);
        default: return word(pdu + 3);
    }
}

static void note(const struct device *device, const uint8_t *pdu, int count, const char *verdict) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    for (int i = 0; i < count; i++)
        fprintf(log_file, "%lld %d %d %d %d %s\n", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000, device->index,
                pdu[0], word(pdu + 1) + i, value_of(pdu, i), verdict);
    fflush(log_file);
}

static void clamp(struct device *device, const uint8_t *pdu, int count) {
    for (int i = 0; i < count; i++) {
        uint16_t *cell = &device->mapping->tab_registers[word(pdu + 1) + i];
        if (*cell < device->low) *cell = (uint16_t)device->low;
        if (*cell > device->high) *cell = (uint16_t)device->high;
    }
}

/* Applies the request to the mapping and keeps the answer from the client. */
static void apply_silently(struct device *device, uint8_t *query, int length) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) die("socketpair");
    modbus_set_socket(device->context, pair[0]);
    modbus_reply(device->context, query, length, device->mapping);
    close(pair[0]);
    close(pair[1]);
}

/* False when the connection is to be closed. */
static int answer(struct device *device, int fd) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_set_socket(device->context, fd);
    int length = modbus_receive(device->context, query);
    if (length < 0) return 0;
    if (length == 0) return 1;
    const uint8_t *pdu = query + 7;
    pthread_mutex_lock(&device->lock);
    int delay = device->delay_ms;
    pthread_mutex_unlock(&device->lock);
    if (delay) usleep((useconds_t)delay * 1000);
    pthread_mutex_lock(&device->lock);
    int count = written(pdu), alive = 1;
    modbus_set_socket(device->context, fd);
    if (device->mode == DEAF) {
        if (count) note(device, pdu, count, "dropped");
    } else if (count && device->mode == DROP) {
        note(device, pdu, count, "dropped");
        device->mode = DEAF;
    } else if (count && device->mode == SWALLOW) {
        note(device, pdu, count, "swallowed");
        apply_silently(device, query, length);
        device->mode = DEAF;
    } else if (count && device->mode == REFUSE) {
        note(device, pdu, count, "refused");
        alive = modbus_reply_exception(device->context, query, (unsigned)device->code) >= 0;
    } else {
        if (count) note(device, pdu, count, device->mode == CLAMP ? "clamped" : "done");
        alive = modbus_reply(device->context, query, length, device->mapping) >= 0;
        if (count && device->mode == CLAMP) clamp(device, pdu, count);
    }
    pthread_mutex_unlock(&device->lock);
    return alive;
}

static void *serve(void *argument) {
    struct device *device = argument;
    struct pollfd polled[CLIENTS + 1] = {{.fd = device->listener, .events = POLLIN}};
    int count = 1;
    for (;;) {
        if (poll(polled, (nfds_t)count, -1) < 0) continue;
        for (int i = count - 1; i > 0; i--) {
            if (!polled[i].revents || answer(device, polled[i].fd)) continue;
            close(polled[i].fd);
            polled[i] = polled[--count];
        }
        if (!polled[0].revents) continue;
        int client = accept4(device->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
        if (client < 0) continue;
        if (count > CLIENTS) { close(client); continue; }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        polled[count++] = (struct pollfd){.fd = client, .events = POLLIN};
    }
    return NULL;
}

static int obey(struct device *device, const char *verb, int a, int b) {
    if (!strcmp(verb, "normal")) device->mode = NORMAL, device->delay_ms = 0;
    else if (!strcmp(verb, "refuse")) device->mode = REFUSE, device->code = a;
    else if (!strcmp(verb, "clamp")) device->mode = CLAMP, device->low = a, device->high = b;
    else if (!strcmp(verb, "deaf")) device->mode = DEAF;
    else if (!strcmp(verb, "swallow")) device->mode = SWALLOW;
    else if (!strcmp(verb, "drop")) device->mode = DROP;
    else if (!strcmp(verb, "delay")) device->delay_ms = a;
    else if (!strcmp(verb, "set") && a >= 0 && a < REGISTERS) device->mapping->tab_registers[a] = (uint16_t)b;
    else return 0;
    return 1;
}

int main(int count, char **arguments) {
    int base = 0, device_count = 1, option;
    static const struct option options[] = {{"base", 1, 0, 'b'}, {"devices", 1, 0, 'd'}, {"log", 1, 0, 'l'}, {0, 0, 0, 0}};
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'b') base = atoi(optarg);
        else if (option == 'd') device_count = atoi(optarg);
        else if (option != 'l') return 2;
        else if (!(log_file = fopen(optarg, "ae"))) die(optarg);
    }
    if (base < 1024 || device_count < 1 || device_count > DEVICES || !log_file) {
        fprintf(stderr, "device: need --base PORT of 1024 or more, --log FILE, at most %d --devices\n", DEVICES);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    for (int d = 0; d < device_count; d++) {
        struct device *device = &devices[d];
        *device = (struct device){.index = d, .listener = listen_on(base + d)};
        pthread_mutex_init(&device->lock, NULL);
        device->context = modbus_new_tcp("127.0.0.1", base + d);
        device->mapping = modbus_mapping_new(REGISTERS, 0, REGISTERS, 0);
        if (!device->context || !device->mapping) die("libmodbus");
        for (int i = 0; i < REGISTERS; i++) device->mapping->tab_registers[i] = 200;
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, device) != 0) die("pthread_create");
    }
    puts("ready");
    fflush(stdout);
    char line[128], verb[32];
    for (long number = 1; fgets(line, sizeof line, stdin); number++) {
        int d = -1, a = 0, b = 0;
        int fields = sscanf(line, "%d %31s %d %d", &d, verb, &a, &b);
        if (fields < 2 || d < 0 || d >= device_count) return 2;
        pthread_mutex_lock(&devices[d].lock);
        int done = obey(&devices[d], verb, a, b);
        pthread_mutex_unlock(&devices[d].lock);
        if (!done) return 2;
        printf("ok %ld\n", number);
        fflush(stdout);
    }
    return 0;
}
