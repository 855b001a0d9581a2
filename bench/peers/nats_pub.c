// Publishes 128-byte messages as fast as it can: first a number of them that nobody counts, then for a number of seconds. Says how many.
#include "nats_peer.h"

int main(int argc, char **argv) {
    expect_arguments(argc, 4, "nats_pub URL CERTIFICATES WARM-UP SECONDS");
    natsConnection *nc = connect_to(argv[1], argv[2], false);
    await_peer(nc);

    payload_t payload = {.kind = WARM_UP};
    for (long count = atol(argv[3]); count > 0; count--) check(natsConnection_Publish(nc, SUBJECT, &payload, sizeof payload), "publish");
    payload.kind = DATA;
    uint64_t start = now_ns(), end = start + (uint64_t)(atof(argv[4]) * 1e9);
    do {
        for (int batch = 0; batch < 256; batch++) {
            payload.sequence++;
            check(natsConnection_Publish(nc, SUBJECT, &payload, sizeof payload), "publish");
        }
    } while (now_ns() < end);
    payload.kind = END;
    check(natsConnection_Publish(nc, SUBJECT, &payload, sizeof payload), "publish");
    check(natsConnection_FlushTimeout(nc, 60000), "flush");
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("result sent=%llu seconds=%.4f\n", (unsigned long long)payload.sequence, seconds);
    natsConnection_Destroy(nc);
    return 0;
}
