/// The lines of a history: a letter and numbers each. A killed process may have written half a line at the end, which is left out.
struct HistoryLines: Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    private var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> (kind: Character, numbers: [Int])? {
        guard place < bytes.count else { return nil }
        let kind = Character(UnicodeScalar(bytes[place]))
        var numbers: [Int] = []
        place += 1
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            switch byte {
            case UInt8(ascii: "\n"): return (kind, numbers)
            case UInt8(ascii: " "): numbers.append(0)
            case UInt8(ascii: "0")...UInt8(ascii: "9") where !numbers.isEmpty:
                numbers[numbers.count - 1] = numbers[numbers.count - 1] &* 10 &+ Int(byte - UInt8(ascii: "0"))
            default: break
            }
        }
        return nil
    }
}
