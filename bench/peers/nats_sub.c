// Subscribes on a number of connections and counts what each receives between its first and its last message.
//
// It ends when every connection has seen the END message, or when none has received anything for three seconds: a server that cuts off
// a slow consumer may lose that message too.
#include <stdatomic.h>

#include "nats_peer.h"

// Each on cache lines of its own: every connection has a thread that writes one.
typedef struct {
    _Alignas(128) _Atomic uint64_t received;
    _Atomic uint64_t first, last, previous, disordered;
    _Atomic bool ended;
} tally_t;

static void count(natsConnection *nc, natsSubscription *sub, natsMsg *message, void *closure) {
    (void)nc; (void)sub;
    tally_t *tally = closure;
    payload_t payload;
    if (natsMsg_GetDataLength(message) == sizeof payload) {
        memcpy(&payload, natsMsg_GetData(message), sizeof payload);
        if (payload.kind == END) {
            tally->ended = true;
        } else if (payload.kind == DATA) {
            // One thread writes a tally, so plain stores do; the clock is read every 64th time to stay out of the measurement.
            uint64_t received = atomic_load_explicit(&tally->received, memory_order_relaxed) + 1;
            atomic_store_explicit(&tally->received, received, memory_order_relaxed);
            if (payload.sequence <= atomic_load_explicit(&tally->previous, memory_order_relaxed)) tally->disordered++;
            atomic_store_explicit(&tally->previous, payload.sequence, memory_order_relaxed);
            if (received == 1) tally->first = now_ns();
            if (received % 64 == 0) atomic_store_explicit(&tally->last, now_ns(), memory_order_relaxed);
        }
    }
    natsMsg_Destroy(message);
}

int main(int argc, char **argv) {
    expect_arguments(argc, 3, "nats_sub URL CERTIFICATES CONNECTIONS");
    int connections = atoi(argv[3]);
    if (connections < 1 || connections > 1000) return 2;
    tally_t *tallies = aligned_alloc(128, (size_t)connections * sizeof(tally_t));
    memset(tallies, 0, (size_t)connections * sizeof(tally_t));
    natsConnection **nc = calloc((size_t)connections, sizeof *nc);
    natsSubscription *subscription = NULL;
    for (int i = 0; i < connections; i++) {
        nc[i] = connect_to(argv[1], argv[2], false);
        check(natsConnection_Subscribe(&subscription, nc[i], SUBJECT, count, &tallies[i]), "subscribe");
        check(natsSubscription_SetPendingLimits(subscription, -1, -1), "pending limits");  // the client itself drops nothing
        check(natsConnection_Flush(nc[i]), "flush");
    }
    check(natsConnection_Subscribe(&subscription, nc[0], PROBE, answer_probe, NULL), "subscribe");
    check(natsConnection_Flush(nc[0]), "flush");
    printf("ready\n");
    fflush(stdout);

    uint64_t total = 0, quiet = 0;
    for (;;) {
        nats_Sleep(50);
        uint64_t sum = 0;
        bool ended = true;
        for (int i = 0; i < connections; i++) {
            sum += tallies[i].received;
            ended = ended && tallies[i].ended;
        }
        quiet = sum == total ? quiet + 50 : 0;
        total = sum;
        if (ended || (total > 0 && quiet >= 3000)) break;
    }
    uint64_t first = UINT64_MAX, last = 0, disordered = 0;
    for (int i = 0; i < connections; i++) {
        if (tallies[i].received == 0) continue;
        if (tallies[i].first < first) first = tallies[i].first;
        if (tallies[i].last > last) last = tallies[i].last;
        disordered += tallies[i].disordered;
    }
    double seconds = last > first ? (double)(last - first) / 1e9 : 0;
    printf("result received=%llu seconds=%.4f disordered=%llu\n", (unsigned long long)total, seconds, (unsigned long long)disordered);
    fflush(stdout);
    _Exit(0);  // no orderly close: a frozen server would hold it up
}
