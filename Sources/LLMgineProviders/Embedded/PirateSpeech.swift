/// Turns text into the speech of pirates, by rules and always in the same way.
package enum PirateSpeech {
    /// The text with an opener that its hash chose, each word in its pirate form, everything between words as it was.
    package static func translate(_ text: String) -> String {
        var result = openers[Int(fingerprint(of: text) % UInt64(openers.count))]
        var word = ""
        for character in text {
            if isPartOfWord(character) {
                word.append(character)
                continue
            }
            result += translate(word: word)
            word = ""
            result.append(character)
        }
        return result + translate(word: word)
    }

    private static func isPartOfWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "'" || character == "\u{2019}"
    }

    private static func translate(word: String) -> String {
        guard !word.isEmpty else { return "" }
        let plain = String(word.lowercased().map { $0 == "\u{2019}" ? "'" : $0 })
        if let pirate = words[plain] { return pirate.cased(like: word) }
        guard plain.hasSuffix("ing"), plain.count > 4, !keepsItsG.contains(plain) else { return word }
        return word.dropLast() + "'"
    }

    /// FNV-1a, which is the same in every process; Swift's own hashes are not.
    static func fingerprint(of text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }

    private static let openers = [
        "Arrr! ", "Arrr, matey! ", "Arrr, me hearty! ", "Arrr, ye scurvy dog! ", "Arrr, shiver me timbers! ", "Arrr, by Davy Jones! ",
        "Arrr, blow me down! ", "Arrr, yo-ho-ho! ",
    ]

    /// Here the ending belongs to the word.
    private static let keepsItsG: Set<String> = [
        "bring", "cling", "during", "fling", "sling", "spring", "sting", "string", "swing", "thing", "wing", "wring", "viking", "ceiling",
        "sibling",
    ]

    private static let words = [
        "a": "a", "am": "be", "and": "an'", "are": "be", "aren't": "ain't", "before": "afore", "beer": "grog", "between": "betwixt",
        "boss": "cap'n",
        "boy": "lad", "boys": "lads", "captain": "cap'n", "children": "wee ones", "clean": "swab", "coin": "doubloon", "coins": "doubloons",
        "computer": "riggin'", "cook": "galley hand", "dead": "in Davy Jones' locker", "drink": "grog", "enemy": "scurvy dog",
        "ever": "e'er",
        "excited": "all a-tremble", "fellow": "hearty", "flag": "Jolly Roger", "food": "grub", "for": "fer", "friend": "matey",
        "friends": "mateys",
        "girl": "lass", "girls": "lasses", "great": "grand", "hello": "ahoy", "hey": "avast", "hi": "ahoy", "home": "port", "hotel": "inn",
        "is": "be", "isn't": "ain't", "it's": "'tis", "look": "spy", "looking": "spyin'", "man": "scallywag", "men": "scallywags",
        "money": "doubloons",
        "my": "me", "never": "ne'er", "no": "nay", "of": "o'", "old": "barnacle-covered", "over": "o'er", "people": "crew",
        "quickly": "smartly",
        "restaurant": "galley", "road": "sea lane", "sea": "briny deep", "sir": "cap'n", "song": "shanty", "songs": "shanties",
        "stop": "avast",
        "stranger": "landlubber", "sword": "cutlass", "talk": "parley", "team": "crew", "thanks": "thank ye", "the": "th'", "there": "thar",
        "to": "t'", "treasure": "booty", "users": "landlubbers", "user": "landlubber", "very": "mighty", "was": "were", "wasn't": "weren't",
        "wine": "rum",
        "woman": "wench", "wow": "shiver me timbers", "yes": "aye", "you": "ye", "you're": "ye be", "your": "yer", "yours": "yers",
    ]
}

extension String {
    /// This word in the capitals of another: all, the first letter, or none.
    fileprivate func cased(like other: String) -> String {
        let letters = other.filter(\.isLetter)
        guard let first = letters.first, first.isUppercase else { return self }
        if letters.count > 1, letters.allSatisfy(\.isUppercase) { return uppercased() }
        guard let start = firstIndex(where: \.isLetter) else { return self }
        return self[..<start] + self[start].uppercased() + self[index(after: start)...]
    }
}
