/* The field: N Modbus TCP devices in one process, served by libmodbus.
 *
 * Device d listens on port base+d and holds V float32 values (order ABCD) in holding registers 0..2V-1.
 * Value i of device d at tick t is (d*V + i) * 1024 + t % 1024: a whole number below 2^24, so float32 holds it exactly,
 * and whoever receives it can tell which device, which value and when. A tick is --tick milliseconds of UTC.
 *
 * --log FILE gets one line per answered read: tick device first_register register_count.
 * --times FILE gets one line per read as it arrives: microseconds of the monotonic clock, device.
 * On SIGTERM one JSON line tells what was served. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DEVICES = 500, MAX_DESCRIPTORS = 1024, CODES = 16384, COUNTER = 1024 };

struct device {
    modbus_t *context;
    modbus_mapping_t *mapping;
    int64_t tick;
};

static struct device devices[MAX_DEVICES];
static int listener_of[MAX_DESCRIPTORS];  /* device + 1 where the descriptor listens */
static int client_of[MAX_DESCRIPTORS];    /* device + 1 where the descriptor is a connection */
static volatile sig_atomic_t stopping;

static void stop(int number) { (void)number; stopping = 1; }

static void die(const char *what) {
    fprintf(stderr, "field: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
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

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

static void refresh(int index, int values, int64_t tick) {
    struct device *device = &devices[index];
    if (device->tick == tick) return;
    device->tick = tick;
    for (int i = 0; i < values; i++) {
        float value = (float)((index * values + i) * COUNTER + (int)(tick % COUNTER));
        /* Not modbus_set_float_abcd: in libmodbus 3.1.6 it writes the bytes in the order DCBA. */
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        device->mapping->tab_registers[2 * i] = (uint16_t)(bits >> 16);
        device->mapping->tab_registers[2 * i + 1] = (uint16_t)bits;
    }
}

int main(int count, char **arguments) {
    int base = 0, device_count = 10, values = 100, tick_ms = 100, option;
    FILE *log = NULL, *times = NULL;
    static const struct option options[] = {
        {"base", 1, 0, 'b'}, {"devices", 1, 0, 'd'}, {"values", 1, 0, 'v'},
        {"tick", 1, 0, 't'}, {"log", 1, 0, 'l'},     {"times", 1, 0, 'm'}, {0, 0, 0, 0}};
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
            case 'b': base = atoi(optarg); break;
            case 'd': device_count = atoi(optarg); break;
            case 'v': values = atoi(optarg); break;
            case 't': tick_ms = atoi(optarg); break;
            case 'l':
                if (!(log = fopen(optarg, "we"))) die(optarg);
                setvbuf(log, NULL, _IOLBF, 1 << 16);
                break;
            case 'm':
                if (!(times = fopen(optarg, "we"))) die(optarg);
                break;
            default: return 2;
        }
    }
    if (base < 1024 || device_count < 1 || device_count > MAX_DEVICES || values < 1 || tick_ms < 1 ||
        device_count * values > CODES) {
        fprintf(stderr, "field: need --base PORT of 1024 or more, 1 to %d --devices, devices x values of at most %d\n",
                MAX_DEVICES, CODES);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int d = 0; d < device_count; d++) {
        devices[d].context = modbus_new_tcp("127.0.0.1", base + d);
        devices[d].mapping = modbus_mapping_new(0, 0, 2 * values, 0);
        if (!devices[d].context || !devices[d].mapping) die("libmodbus");
        int fd = listen_on(base + d);
        listener_of[fd] = d + 1;
        watch(epoll, fd);
    }
    puts("ready");
    fflush(stdout);

    uint64_t requests = 0, registers = 0, refused = 0;
    struct epoll_event events[64];
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    while (!stopping) {
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int e = 0; e < ready; e++) {
            int fd = events[e].data.fd;
            if (listener_of[fd]) {
                int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
                if (client < 0) continue;
                /* libmodbus waits with select(): a descriptor beyond its set would abort the process. */
                if (client >= MAX_DESCRIPTORS) { close(client); continue; }
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                client_of[client] = listener_of[fd];
                watch(epoll, client);
                continue;
            }
            int index = client_of[fd] - 1;
            modbus_t *context = devices[index].context;
            modbus_set_socket(context, fd);
            int length = modbus_receive(context, query);
            int64_t tick = now_ms() / tick_ms;
            if (times && length > 0) {
                struct timespec now;
                clock_gettime(CLOCK_MONOTONIC, &now);
                fprintf(times, "%lld %d\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, index);
            }
            if (length > 0) refresh(index, values, tick);
            if (length < 0 || (length > 0 && modbus_reply(context, query, length, devices[index].mapping) < 0)) {
                client_of[fd] = 0;
                close(fd);
                continue;
            }
            if (length != 12) continue;
            int first = query[8] << 8 | query[9], span = query[10] << 8 | query[11];
            if (query[7] != MODBUS_FC_READ_HOLDING_REGISTERS || span < 1 || span > 125 || first + span > 2 * values) {
                refused++;
                continue;
            }
            requests++;
            registers += (uint64_t)span;
            if (log) fprintf(log, "%lld %d %d %d\n", (long long)tick, index, first, span);
        }
    }
    if (log) fclose(log);
    if (times) fclose(times);
    printf("{\"requests\":%llu,\"values\":%llu,\"refused\":%llu}\n", (unsigned long long)requests,
           (unsigned long long)registers / 2, (unsigned long long)refused);
    return 0;
}
