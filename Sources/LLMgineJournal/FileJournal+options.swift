extension FileJournal {
    /// How a journal is kept.
    public struct Options: Sendable, Hashable {
        /// The most bytes that all files may have; past it an append fails. Default 1 GiB.
        public var maximumBytes: Int
        /// A file of so many bytes is followed by the next. Default 16 MiB; an eighth of `maximumBytes` at most.
        public var segmentBytes: Int
        /// How long events wait for a subscription that is not there, after a start or after it has ended; then they go to the dead letters. Default 5
        /// minutes.
        public var retention: Duration

        /// Options with the documented defaults.
        public init(maximumBytes: Int = 1 << 30, segmentBytes: Int = 16 << 20, retention: Duration = .seconds(300)) {
            self.maximumBytes = max(64 << 10, maximumBytes)
            // Files go as a whole, so there must be several.
            self.segmentBytes = max(4 << 10, min(segmentBytes, self.maximumBytes / 8))
            self.retention = max(.zero, retention)
        }
    }

    /// What a journal has done and holds.
    public struct Statistics: Sendable, Hashable {
        /// Events that were written.
        public var appended: UInt64 = 0
        /// Times that the disk was waited for: several events share one.
        public var syncs: UInt64 = 0
        /// Events that could not be written.
        public var failed: UInt64 = 0
        /// Events that are open.
        public var open = 0
        /// Records that wait for the disk to be done with others.
        public var waiting = 0
        /// Bytes of all files.
        public var bytes = 0
        /// Files.
        public var segments = 0
        /// Files that were found damaged and set aside.
        public var quarantined = 0
        /// Why an event could not be written, the last time.
        public var lastError: String?
    }
}
