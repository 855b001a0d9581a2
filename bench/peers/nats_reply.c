// Answers every request with its own payload, at once.
#include "nats_peer.h"

static void answer(natsConnection *nc, natsSubscription *sub, natsMsg *message, void *closure) {
    (void)sub; (void)closure;
    natsConnection_Publish(nc, natsMsg_GetReply(message), natsMsg_GetData(message), natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
}

int main(int argc, char **argv) {
    expect_arguments(argc, 2, "nats_reply URL CERTIFICATES");
    natsConnection *nc = connect_to(argv[1], argv[2], true);
    natsSubscription *subscription = NULL;
    check(natsConnection_Subscribe(&subscription, nc, REQUEST, answer, NULL), "subscribe");
    check(natsConnection_Subscribe(&subscription, nc, PROBE, answer_probe, NULL), "subscribe");
    check(natsConnection_Flush(nc), "flush");
    printf("ready\n");
    fflush(stdout);
    for (;;) nats_Sleep(60000);  // until it is killed
}
