import LLMgineCore

extension Mailbox {
    /// Makes room for one message by letting the oldest of the least urgent class go. - Returns: 0 if the handlers have them all: the new message then
    /// goes in above the capacity, by at most one chunk.
    static func evictOldest(from state: inout State) -> Int {
        for lane in (0..<4).reversed() {
            while !state.lanes[lane].isEmpty {
                let head = state.lanes[lane].head
                switch state.lanes[lane].items[head].body {
                case .chunk(let delivery, let skip):
                    delivery.credit.consumed(messages: 1, bytes: delivery.chunk.message(at: skip).encodedBytes)
                    if skip + 1 < delivery.chunk.count {
                        state.lanes[lane].items[head].body = .chunk(delivery, skip: skip + 1)
                    } else {
                        state.lanes[lane].dropHead()
                    }
                case .gap(let count):
                    state.lanes[lane].missed &+= UInt64(count)
                    state.lanes[lane].dropHead()
                    continue  // a marker takes no room: look at what is behind it
                case .value:
                    state.lanes[lane].values.destroy(at: head)
                    state.lanes[lane].dropHead()
                case .encoded:
                    state.lanes[lane].dropHead()
                }
                state.lanes[lane].missed &+= 1
                state.entered &-= 1
                state.evicted += 1
                return 1
            }
        }
        return 0
    }
}
