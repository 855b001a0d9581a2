// Sends one request after the other and prints the percentiles of the round trips after a warm-up.
#include "nats_peer.h"

static int ascending(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

int main(int argc, char **argv) {
    expect_arguments(argc, 4, "nats_request URL CERTIFICATES WARM-UP COUNT");
    long warm_up = atol(argv[3]), count = atol(argv[4]);
    if (warm_up < 0 || count < 1 || count > 100000000) return 2;
    natsConnection *nc = connect_to(argv[1], argv[2], true);
    await_peer(nc);
    uint64_t *times = calloc((size_t)count, sizeof *times);
    payload_t payload = {0};
    unsigned long lost = 0;
    for (long i = -warm_up; i < count; i++) {
        natsMsg *reply = NULL;
        payload.sequence++;
        uint64_t start = now_ns();
        natsStatus status = natsConnection_Request(&reply, nc, REQUEST, &payload, sizeof payload, 2000);
        uint64_t end = now_ns();
        if (status != NATS_OK || natsMsg_GetDataLength(reply) != sizeof payload) lost++;
        natsMsg_Destroy(reply);
        if (i >= 0) times[i] = end - start;
    }
    qsort(times, (size_t)count, sizeof *times, ascending);
    printf("result count=%ld lost=%lu p50=%.1f p99=%.1f max=%.1f\n", count, lost, (double)times[count / 2] / 1e3,
           (double)times[(long)((double)count * 0.99)] / 1e3, (double)times[count - 1] / 1e3);
    natsConnection_Destroy(nc);
    return 0;
}
