/* The consumer: subscribes at QoS 1, checks every value against what field.c serves, and measures the time from a
 * reading's `time` to its arrival. Lines on stdout: "ready", "first" (first batch), "measuring" (warm-up over),
 * "measured" (window over), and on SIGTERM one JSON line. */
#define _GNU_SOURCE
#include <getopt.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { BUCKETS = 600000, COUNTER = 1024 };  /* latency buckets of 0.1 ms: up to one minute */

static struct {
    uint64_t messages, values, wrong, not_good, gaps, replays, duplicates;
    uint64_t first_seq, last_seq, distinct;
    uint64_t window_values, window_latencies;
} seen;
static uint32_t histogram[BUCKETS + 1];
static uint8_t *seq_bits;
static uint64_t seq_capacity;
static int values_per_device = 100;
static double warm_up = 3, window = 20;
static int64_t first_ns, opened_ns, closed_ns;
static volatile sig_atomic_t stopping;

static void stop(int number) { (void)number; stopping = 1; }

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void say(const char *word) {
    puts(word);
    fflush(stdout);
}

static int number_at(const char *digits, int count) {
    int n = 0;
    while (count-- > 0) n = n * 10 + (*digits++ - '0');
    return n;
}

/* RFC 3339 UTC to nanoseconds; the calendar part is computed once a second. */
static int64_t parse_time(const char *text) {
    static char known[19];
    static int64_t known_ns;
    if (memcmp(text, known, 19) != 0) {
        struct tm parts = {.tm_year = number_at(text, 4) - 1900, .tm_mon = number_at(text + 5, 2) - 1,
                           .tm_mday = number_at(text + 8, 2), .tm_hour = number_at(text + 11, 2),
                           .tm_min = number_at(text + 14, 2), .tm_sec = number_at(text + 17, 2)};
        known_ns = (int64_t)timegm(&parts) * 1000000000;
        memcpy(known, text, 19);
    }
    int64_t fraction = 0, unit = 100000000;
    if (text[19] == '.')
        for (const char *digit = text + 20; *digit >= '0' && *digit <= '9'; digit++, unit /= 10)
            fraction += (*digit - '0') * unit;
    return known_ns + fraction;
}

static void note_sequence(uint64_t seq) {
    if (!seen.first_seq) seen.first_seq = seq;
    if (seq < seen.first_seq) return;
    uint64_t index = seq - seen.first_seq;
    if (index / 8 >= seq_capacity) {
        uint64_t wanted = (index / 8 + 1) * 2;
        seq_bits = realloc(seq_bits, wanted);
        if (!seq_bits) abort();
        memset(seq_bits + seq_capacity, 0, wanted - seq_capacity);
        seq_capacity = wanted;
    }
    if (seq_bits[index / 8] & 1 << index % 8) {
        seen.duplicates++;
        return;
    }
    seq_bits[index / 8] |= (uint8_t)(1 << index % 8);
    seen.distinct++;
    if (seq > seen.last_seq) seen.last_seq = seq;
}

static const char *after(const char *from, const char *end, const char *key) {
    const char *hit = memmem(from, (size_t)(end - from), key, strlen(key));
    return hit ? hit + strlen(key) : NULL;
}

/* One {"point":"dDDD/vVVV", ..., "time":"...", "value":N, ..., "quality":"good"}; returns where to go on. */
static const char *note_reading(const char *point, const char *end, int64_t arrived_ns, int measured) {
    const char *time_text = after(point, end, "\"time\":\"");
    const char *value_text = time_text ? after(time_text, end, "\"value\":") : NULL;
    const char *quality = value_text ? after(value_text, end, "\"quality\":\"") : NULL;
    seen.values++;
    if (!quality || end - point < (int)sizeof "d000/v000") {
        seen.wrong++;
        return end;
    }
    if (quality[0] != 'g') {
        seen.not_good++;
        return quality;
    }
    int code = number_at(point + 1, 3) * values_per_device + number_at(point + 6, 3);
    double value = strtod(value_text, NULL);
    if ((int)value / COUNTER != code || value != (double)(int)value) seen.wrong++;
    if (measured) {
        int64_t bucket = (arrived_ns - parse_time(time_text)) / 100000;
        histogram[bucket < 0 ? 0 : bucket > BUCKETS ? BUCKETS : bucket]++;
        seen.window_latencies++;
    }
    return quality;
}

static void on_message(struct mosquitto *m, void *o, const struct mosquitto_message *message) {
    (void)m, (void)o;
    const char *text = message->payload, *end = text + message->payloadlen;
    if (!text) return;
    int64_t now = now_ns(CLOCK_MONOTONIC), arrived = now_ns(CLOCK_REALTIME);
    const char *readings = after(text, end, "\"readings\":[");
    const char *head_end = readings ? readings : end;
    const char *seq = after(text, head_end, "\"seq\":");
    if (seq) note_sequence(strtoull(seq, NULL, 10));
    if (!readings) {
        seen.gaps++;
        return;
    }
    if (!first_ns) {
        first_ns = now;
        say("first");
    }
    int open = opened_ns && !closed_ns, replay = after(text, head_end, "\"replay\":true") != NULL;
    uint64_t before = seen.values;
    for (const char *at = readings; (at = after(at, end, "\"point\":\""));)
        at = note_reading(at, end, arrived, open && !replay);
    seen.messages++;
    seen.replays += (uint64_t)replay;
    if (open) seen.window_values += seen.values - before;
}

static void on_connect(struct mosquitto *m, void *o, int rc) {
    (void)o;
    if (rc != 0) exit(1);
    mosquitto_subscribe(m, NULL, "headgate/v1/+/r/#", 1);
    mosquitto_subscribe(m, NULL, "headgate/v1/+/gap/#", 1);
}

static void on_subscribe(struct mosquitto *m, void *o, int id, int count, const int *granted) {
    static int answered;
    (void)m, (void)o, (void)id, (void)count, (void)granted;
    if (++answered == 2) say("ready");
}

static double percentile(double share) {
    uint64_t wanted = (uint64_t)((double)seen.window_latencies * share), sum = 0;
    if (!seen.window_latencies) return -1;
    for (int bucket = 0; bucket <= BUCKETS; bucket++)
        if ((sum += histogram[bucket]) > wanted) return (bucket + 0.5) / 10;
    return BUCKETS / 10.0;
}

static void turn_window(void) {
    int64_t now = now_ns(CLOCK_MONOTONIC);
    if (first_ns && !opened_ns && (double)(now - first_ns) >= warm_up * 1e9) {
        opened_ns = now;
        say("measuring");
    }
    if (opened_ns && !closed_ns && (double)(now - opened_ns) >= window * 1e9) {
        closed_ns = now;
        say("measured");
    }
}

int main(int count, char **arguments) {
    int broker = 0, option;
    static const struct option options[] = {{"broker", 1, 0, 'm'}, {"values", 1, 0, 'v'}, {"warm-up", 1, 0, 'w'},
                                            {"seconds", 1, 0, 's'}, {0, 0, 0, 0}};
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
            case 'm': broker = atoi(optarg); break;
            case 'v': values_per_device = atoi(optarg); break;
            case 'w': warm_up = atof(optarg); break;
            case 's': window = atof(optarg); break;
            default: return 2;
        }
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    mosquitto_lib_init();
    struct mosquitto *m = mosquitto_new("consumer", true, NULL);
    mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(m, MOSQ_OPT_RECEIVE_MAXIMUM, 1000);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_subscribe_callback_set(m, on_subscribe);
    mosquitto_message_callback_set(m, on_message);
    if (mosquitto_connect(m, "127.0.0.1", broker, 30) != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "consumer: no broker at 127.0.0.1:%d\n", broker);
        return 1;
    }
    int rc = MOSQ_ERR_SUCCESS;
    while (!stopping && rc == MOSQ_ERR_SUCCESS) {
        rc = mosquitto_loop(m, 20, 1);
        turn_window();
    }
    if (rc != MOSQ_ERR_SUCCESS && !stopping) fprintf(stderr, "consumer: %s\n", mosquitto_strerror(rc));
    double seconds = opened_ns ? (double)((closed_ns ? closed_ns : now_ns(CLOCK_MONOTONIC)) - opened_ns) / 1e9 : 0;
    uint64_t span = seen.distinct ? seen.last_seq - seen.first_seq + 1 : 0;
    printf("{\"seconds\":%.3f,\"window_values\":%llu,\"values_per_second\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
           "\"values\":%llu,\"messages\":%llu,\"wrong\":%llu,\"not_good\":%llu,\"gaps\":%llu,\"replays\":%llu,"
           "\"seq_holes\":%llu,\"seq_duplicates\":%llu}\n",
           seconds, (unsigned long long)seen.window_values, seconds > 0 ? (double)seen.window_values / seconds : 0,
           percentile(0.5), percentile(0.99), (unsigned long long)seen.values, (unsigned long long)seen.messages,
           (unsigned long long)seen.wrong, (unsigned long long)seen.not_good, (unsigned long long)seen.gaps,
           (unsigned long long)seen.replays, (unsigned long long)(span - seen.distinct),
           (unsigned long long)seen.duplicates);
    return rc == MOSQ_ERR_SUCCESS || stopping ? 0 : 1;
}
