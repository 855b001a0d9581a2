package import LLMgineLink

/// The sizes of a simulated world. Small ones, so that every limit is met in a run of a few seconds.
package struct SimulationSettings: Sendable {
    /// How long a read is on its way, in microseconds.
    package var delay: ClosedRange<Int> = 50...3000
    /// Messages of one class that may wait for one flow at its publisher.
    package var queueMessages = 6
    package var queueBytes = 1500
    /// Topics and types that have a number on a link at a time.
    package var texts: UInt32 = 24
    /// Payload bytes that a publisher may have under way to one subscription.
    package var windowBytes: UInt64 = 600
    /// Bytes in a socket from which on a link writes no more.
    package var socketBytes = 4096
    /// How often each node gossips, in milliseconds.
    package var gossipMilliseconds = 1000
    package var link = LinkSettings(suspectAfter: .seconds(3))
    /// Whether reads are split at random places.
    package var splitsReads = true
    /// Whether what is published is followed to its end. Costs memory for each message.
    package var isAudited = true
    /// Who the nodes know from the start: the first so many hosts.
    package var seeds = 2
    /// One node among stand-ins: the others are whole nodes too, but have a link to the first host only, and tell it of members as seldom as
    /// they would if they had links to all. So what one node of a thousand has to do can be measured without the other half million links.
    package var isStar = false

    package init() {}
}

/// A rule that nodes break on purpose: whoever checks must find each of them.
package enum BrokenRule: String, Sendable, CaseIterable {
    /// A grant gives the window a second time.
    case grantsTwice
    /// A grant says how much more, not how much since the start of the link.
    case grantsRelative
    /// A publisher sends five messages more than it was granted.
    case sendsPastGrant
    /// A subscriber counts on where the last link ended.
    case keepsCreditOverReconnect
    /// What a handler is done with is granted again only in part.
    case leaksCredit
    /// Interest is never acknowledged.
    case skipsInterestAck
    /// Interest is acknowledged before it is in effect.
    case acknowledgesEarly
    /// A publisher goes on sending to a subscription that has ended.
    case forgetsUnsubscribe
    /// A handler gets what comes after its subscription has ended.
    case deliversAfterUnsubscribe
    /// Two frames go out in the wrong order.
    case reordersFrames
    /// A frame of messages is not sent.
    case losesFrame
    /// A chunk is handed over twice.
    case deliversTwice
    /// A marker for what was evicted is not taken note of.
    case losesGapMarker
    /// Requests stay open when the link to their responder breaks.
    case leaksRequestsOnLinkLoss
    /// A responder's slot is not granted again.
    case keepsSlot
    /// Deadlines of requests pass unnoticed.
    case ignoresDeadlines
    /// The last reply is sent twice, the second time as one more.
    case answersTwice
    /// Replies are sent without room for them.
    case ignoresReplyCredit
    /// A silent link is kept.
    case ignoresSilence
    /// What peers tell of members is not listened to.
    case ignoresGossip
    /// A link that is gone is kept in the books.
    case forgetsLinkLoss
    /// A publisher waits for a demoted subscription all the same.
    case neverDemotes
    /// An event is acknowledged before its handler has it.
    case acknowledgesUnhandled
    /// Some acknowledgements of events are not sent.
    case skipsEventAck
    /// What came is forgotten, and handled again when it comes again.
    case forgetsDuplicates
    /// What was sent over a link that broke is not sent again.
    case sendsOnce
    /// An event whose handler fails to the last is in no dead letters.
    case losesDeadLetter
    /// More than one member of a queue group gets an event.
    case servesWholeGroup
    /// Some events go to no member of a queue group.
    case forgetsGroup
    /// A leaf gets what it has published itself.
    case echoesToLeaf
    /// A hub loses what it should pass on to its leaf.
    case losesForwarded
    /// Nobody is told of what a disk does not give back.
    case hidesDiskLoss
    /// What comes back from a disk is not in order.
    case reordersSpilled
    /// A disk takes more than it may.
    case overfillsDisk
    /// What was in a compressed frame is lost.
    case losesInflated
    /// A compressed frame may become as long as it says.
    case inflatesAnything
}
