/* The floor: the least a program can do for the same work. One thread, libmodbus read -> sprintf JSON -> libmosquitto
 * publish at QoS 1. No storage, no quality rules, no recovery: any error ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <modbus.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { MAX_DEVICES = 256, BLOCK = 124, WINDOW = 100, READING = 224 };

static volatile sig_atomic_t stopping;
static int connected, in_flight;

static void stop(int number) { (void)number; stopping = 1; }

static void die(const char *what, const char *why) {
    fprintf(stderr, "floor: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void format_time(int64_t utc_ns, char out[32]) {
    time_t seconds = (time_t)(utc_ns / 1000000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + length, 32 - length, ".%03dZ", (int)(utc_ns / 1000000 % 1000));
}

static void on_connect(struct mosquitto *m, void *o, int rc) {
    (void)m, (void)o;
    if (rc != 0) die("broker", mosquitto_connack_string(rc));
    connected = 1;
}

static void on_publish(struct mosquitto *m, void *o, int id) { (void)m, (void)o, (void)id; in_flight--; }

static void network(struct mosquitto *m, int wait_ms) {
    int rc = mosquitto_loop(m, wait_ms, 1);
    if (rc != MOSQ_ERR_SUCCESS && !stopping) die("broker", mosquitto_strerror(rc));
}

/* Order ABCD. Not modbus_get_float_abcd: in libmodbus 3.1.6 it reads the bytes in the order DCBA. */
static float float_at(const uint16_t *registers) {
    uint32_t bits = (uint32_t)registers[0] << 16 | registers[1];
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Reads one device and publishes one batch. */
static void poll_device(struct mosquitto *m, modbus_t *bus, int device, int values, uint64_t *sequence, uint64_t n) {
    static char json[READING * 16384 + 512];
    uint16_t registers[BLOCK];
    char sent[32], time_text[32], topic[64];
    size_t length;

    format_time(now_ns(CLOCK_REALTIME), sent);
    length = (size_t)sprintf(json,
        "{\"schema\":\"reading/1\",\"gateway\":\"bench\",\"epoch\":1,\"seq\":%llu,\"sent\":\"%s\",\"device\":\"d%03d\","
        "\"readings\":[", (unsigned long long)++*sequence, sent, device);
    for (int first = 0; first < 2 * values; first += BLOCK) {
        int span = 2 * values - first < BLOCK ? 2 * values - first : BLOCK;
        int64_t before = now_ns(CLOCK_REALTIME);
        if (modbus_read_registers(bus, first, span, registers) != span) die("device", modbus_strerror(errno));
        format_time(before + (now_ns(CLOCK_REALTIME) - before) / 2, time_text);
        for (int r = 0; r < span; r += 2)
            length += (size_t)sprintf(json + length,
                "%s{\"point\":\"d%03d/v%03d\",\"def\":\"9f2c41aa03be77d1\",\"time\":\"%s\",\"value\":%.9g,\"unit\":\"1\","
                "\"quality\":\"good\",\"n\":%llu}", first + r ? "," : "", device, (first + r) / 2, time_text,
                (double)float_at(registers + r), (unsigned long long)n);
    }
    length += (size_t)sprintf(json + length, "]}");
    sprintf(topic, "headgate/v1/bench/r/d%03d", device);
    while (in_flight >= WINDOW && !stopping) network(m, 100);
    in_flight++;
    int rc = mosquitto_publish(m, NULL, topic, (int)length, json, 1, false);
    if (rc != MOSQ_ERR_SUCCESS) die("publish", mosquitto_strerror(rc));
}

int main(int count, char **arguments) {
    int base = 0, devices = 10, values = 100, period_ms = 1000, broker = 0, flat = 0, option;
    static const struct option options[] = {
        {"base", 1, 0, 'b'}, {"devices", 1, 0, 'd'}, {"values", 1, 0, 'v'}, {"period", 1, 0, 'p'},
        {"broker", 1, 0, 'm'}, {"flat-out", 0, 0, 'f'}, {0, 0, 0, 0}};
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
            case 'b': base = atoi(optarg); break;
            case 'd': devices = atoi(optarg); break;
            case 'v': values = atoi(optarg); break;
            case 'p': period_ms = atoi(optarg); break;
            case 'm': broker = atoi(optarg); break;
            case 'f': flat = 1; break;
            default: return 2;
        }
    }
    if (base < 1 || broker < 1 || devices < 1 || devices > MAX_DEVICES || values < 1 || values > 16384 || period_ms < 1)
        die("usage", "--base PORT --broker PORT [--devices N] [--values V] [--period MS | --flat-out]");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    modbus_t *bus[MAX_DEVICES];
    for (int d = 0; d < devices; d++) {
        bus[d] = modbus_new_tcp("127.0.0.1", base + d);
        modbus_set_slave(bus[d], 1);
        modbus_set_response_timeout(bus[d], 5, 0);
        if (modbus_connect(bus[d]) != 0) die("device", modbus_strerror(errno));
    }
    mosquitto_lib_init();
    struct mosquitto *m = mosquitto_new("floor", true, NULL);
    mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_max_inflight_messages_set(m, WINDOW);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_publish_callback_set(m, on_publish);
    if (mosquitto_connect(m, "127.0.0.1", broker, 30) != MOSQ_ERR_SUCCESS) die("broker", "no connection");
    while (!connected && !stopping) network(m, 100);

    uint64_t sequence = 0, n = 0;
    int64_t deadline = now_ns(CLOCK_MONOTONIC);
    while (!stopping) {
        for (int d = 0; d < devices && !stopping; d++) {
            poll_device(m, bus[d], d, values, &sequence, n);
            network(m, 0);
        }
        n++;
        if (flat) continue;
        deadline += (int64_t)period_ms * 1000000;
        for (int64_t left; !stopping && (left = deadline - now_ns(CLOCK_MONOTONIC)) > 0;)
            network(m, (int)(left / 1000000) + 1);
    }
    mosquitto_disconnect(m);
    return 0;
}
