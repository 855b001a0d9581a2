#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A terminal that shows one page at a time, or a pipe that gets one after the other.
struct Screen: Sendable {
    /// Whether each page takes the place of the one before.
    let isLive: Bool

    init(isLive: Bool) {
        self.isLive = isLive
        // The other screen, so that what was on this one comes back at the end; no cursor.
        if isLive { Terminal.put("\u{1B}[?1049h\u{1B}[?25l") }
    }

    /// Gives the terminal back as it was.
    func close() { if isLive { Terminal.put("\u{1B}[?25h\u{1B}[?1049l") } }

    /// How much fits; nil if there is no limit.
    var size: (rows: Int, columns: Int)? {
        guard isLive else { return nil }
        var window = winsize()
        // The call fills in the structure that it is given.
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_row > 0, window.ws_col > 0 else { return (24, 80) }
        return (Int(window.ws_row), Int(window.ws_col))
    }

    /// Shows a page. - Returns: false if nobody reads any more.
    func show(_ lines: [String]) -> Bool {
        guard isLive else { return Terminal.say(lines.joined(separator: "\n") + "\n") }
        // From the top, each line up to its end and what is below it cleared: nothing flickers.
        return Terminal.put("\u{1B}[H" + lines.joined(separator: "\u{1B}[K\r\n") + "\u{1B}[J")
    }
}
