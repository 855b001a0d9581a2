extension Duration {
    /// The farthest ahead that anything is planned: a hundred years, which every clock involved can count. Longer times that people name mean "for ever".
    package static let horizon = Duration.seconds(100 * 366 * 86_400)
}

extension ContinuousClock.Instant {
    /// The moment so much later or earlier, at most `Duration.horizon` away: a longer time would overflow, here or when somebody sleeps until then.
    package func advanced(bySaturating duration: Duration) -> ContinuousClock.Instant {
        advanced(by: min(max(duration, Duration.zero - .horizon), .horizon))
    }
}
