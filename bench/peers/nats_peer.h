// What the four NATS programs share: the connection, the clock, and the message they exchange.
//
// Every program prints lines of `name key=value ...` on standard output, which `Bench` reads.
#pragma once

#include <nats/nats.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUBJECT "bench.data"
#define PROBE "bench.probe"
#define REQUEST "bench.request"
#define PAYLOAD 128

// The first two of the sixteen words of a payload; the others are filler.
typedef struct {
    uint64_t sequence;  // 1 for the first; of the END message: how many were sent
    uint64_t kind;
    uint64_t filler[PAYLOAD / 8 - 2];
} payload_t;

enum { DATA = 0, END = 1, WARM_UP = 2 };

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline void check(natsStatus status, const char *what) {
    if (status == NATS_OK) return;
    fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(status));
    nats_PrintLastErrorStack(stderr);
    exit(1);
}

// Counted and not printed: a slow consumer reports each message that it drops.
static inline void count_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure) {
    (void)nc; (void)sub; (void)status; (void)closure;
}

// Connects with mutual TLS, or in plain text when the directory is "-". `asap` sends each message at once, the better setting for latency; without it messages gather in the
// client's buffer, the better setting for throughput.
static inline natsConnection *connect_to(const char *url, const char *certificates, bool asap) {
    char ca[1024], chain[1024], key[1024];
    snprintf(ca, sizeof ca, "%s/ca.pem", certificates);
    snprintf(chain, sizeof chain, "%s/node.pem", certificates);
    snprintf(key, sizeof key, "%s/node.key", certificates);
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    check(natsOptions_Create(&options), "options");
    check(natsOptions_SetURL(options, url), "url");
    if (strcmp(certificates, "-") != 0) {
        check(natsOptions_SetSecure(options, true), "tls");
        check(natsOptions_LoadCATrustedCertificates(options, ca), ca);
        check(natsOptions_LoadCertificatesChain(options, chain, key), chain);
        check(natsOptions_SetExpectedHostname(options, "localhost"), "host name");
    }
    check(natsOptions_SetSendAsap(options, asap), "send asap");
    check(natsOptions_SetErrorHandler(options, count_error, NULL), "error handler");
    check(natsConnection_Connect(&connection, options), "connect");
    natsOptions_Destroy(options);
    return connection;
}

// Asks until somebody behind whatever servers there are answers: then the interest has travelled and the measuring can start.
static inline void await_peer(natsConnection *nc) {
    for (int attempt = 0; attempt < 100; attempt++) {
        natsMsg *reply = NULL;
        natsStatus status = natsConnection_RequestString(&reply, nc, PROBE, "there?", 100);
        if (status == NATS_OK) {
            natsMsg_Destroy(reply);
            return;
        }
        if (status == NATS_NO_RESPONDERS) nats_Sleep(20);
    }
    fprintf(stderr, "no subscriber within 10 s\n");
    exit(1);
}

static inline void answer_probe(natsConnection *nc, natsSubscription *sub, natsMsg *message, void *closure) {
    (void)sub; (void)closure;
    natsConnection_PublishString(nc, natsMsg_GetReply(message), "here");
    natsConnection_Flush(nc);
    natsMsg_Destroy(message);
}

static inline void expect_arguments(int argc, int count, const char *usage) {
    if (argc == count + 1) return;
    fprintf(stderr, "usage: %s\n", usage);
    exit(2);
}
