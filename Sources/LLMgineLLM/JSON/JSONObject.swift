/// The members of a JSON object in the order in which they were written. Two objects are equal when they hold the same members in any order.
public struct JSONObject: Sendable {
    /// One member.
    public struct Member: Sendable, Hashable {
        /// The name, unique in its object.
        public let name: String
        /// The value.
        public var value: JSONValue
    }

    /// The members, in order.
    public private(set) var members: [Member] = []

    /// An object without members.
    public init() {}

    /// Takes members in order; of two with one name the later value stays, at the place of the first.
    public init(_ pairs: some Sequence<(String, JSONValue)>) {
        self.init(members: pairs.map { Member(name: $0.0, value: $0.1) })
    }

    /// Takes members that may repeat a name. Small objects, which are nearly all, are compared; in a large one a table finds the repeats, so
    /// that hostile input costs linear time.
    init(members: [Member]) {
        guard members.count > Self.compared else {
            for member in members { self[member.name] = member.value }
            return
        }
        var places: [String: Int] = [:]
        places.reserveCapacity(members.count)
        for member in members {
            if let place = places[member.name] {
                self.members[place].value = member.value
            } else {
                places[member.name] = self.members.count
                self.members.append(member)
            }
        }
    }

    private static let compared = 16

    /// The value of the member, nil if there is none. Setting nil removes it. Linear in the number of members.
    public subscript(name: String) -> JSONValue? {
        get { members.first { $0.name == name }?.value }
        set {
            let place = members.firstIndex { $0.name == name }
            switch (place, newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil): members.remove(at: place)
            case (nil, let value?): members.append(Member(name: name, value: value))
            case (nil, nil): break
            }
        }
    }

    /// How many members there are.
    public var count: Int { members.count }
    /// Whether there are none.
    public var isEmpty: Bool { members.isEmpty }

    /// Takes the members of the other object, which win over members of the same name here.
    public mutating func merge(_ other: JSONObject) {
        for member in other.members { self[member.name] = member.value }
    }
}

extension JSONObject: Hashable {
    /// Compares members by name, whatever their order.
    public static func == (one: JSONObject, other: JSONObject) -> Bool {
        guard one.count == other.count else { return false }
        if one.members == other.members { return true }
        let values = Dictionary(other.members.map { ($0.name, $0.value) }) { $1 }
        return one.members.allSatisfy { values[$0.name] == $0.value }
    }

    /// Hashes what equality compares: an order-free mix of the members.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(members.reduce(0) { $0 ^ $1.hashValue })
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// An object from a literal; of two members with one name the later one stays.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}
