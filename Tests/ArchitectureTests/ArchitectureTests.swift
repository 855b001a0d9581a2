import Testing

@Suite struct `The architecture` {
    let tree = SourceTree()

    @Test func `has every folder of Sources and Tests in its table and in the manifest`() throws {
        let folders = try tree.folders(in: "Sources")
        #expect(folders == (Layers.modules.map(\.name) + Layers.libraries).sorted())
        let manifest = try tree.text(of: "Package.swift")
        for folder in folders {
            let declared = ["module(\"\(folder)\"", "            \"\(folder)\",\n", "name: \"\(folder)\""].contains {
                manifest.contains($0)
            }
            #expect(declared, "Sources/\(folder) is no target of Package.swift")
        }
        for folder in try tree.folders(in: "Tests") where folder.hasSuffix("Tests") {
            let declared = ["tests(\"\(folder)\"", "            \"\(folder)\",\n", "name: \"\(folder)\""].contains { manifest.contains($0) }
            #expect(declared, "Tests/\(folder) is no target of Package.swift")
        }
    }

    @Test(arguments: Layers.modules.map(\.name))
    func `lets a module import only what its row allows`(name: String) throws {
        let module = try #require(Layers.modules.first { $0.name == name })
        for file in try tree.files(in: "Sources/\(name)") {
            for imported in file.imports where imported.hasPrefix("LLMgine") {
                #expect(module.imports.contains(imported), "\(file) imports \(imported)")
            }
        }
    }

    @Test(arguments: Layers.modules.filter { $0.reach == .pure }.map(\.name))
    func `keeps sockets, clocks, files, threads and randomness out of a pure module`(name: String) throws {
        for file in try tree.files(in: "Sources/\(name)") {
            for imported in file.imports {
                #expect(!Layers.impure.contains(imported), "\(file) imports \(imported)")
                #expect(imported != "FoundationEssentials" || Layers.essentials.contains(name), "\(file) imports \(imported)")
            }
            for line in file.code {
                for call in Layers.impureCalls where line.contains(call) {
                    Issue.record("\(file) uses \(call): \(line)")
                }
            }
        }
    }

    @Test func `points down: a row allows only rows of its layer or below, and no circle`() {
        for module in Layers.modules {
            for imported in module.imports {
                let layer = byName[imported]?.layer ?? .max
                #expect(layer <= module.layer, "\(module.name) may import \(imported)")
                #expect(!reachable(from: imported).contains(module.name), "\(module.name) and \(imported) reach each other")
                // Pure parts of one layer know nothing of each other.
                #expect(layer < module.layer || module.reach == .shell, "\(module.name) may import its neighbour \(imported)")
            }
        }
    }

    @Test func `gives Observability no way to the bus`() {
        let reached = reachable(from: "LLMgineObservability")
        #expect(reached.isDisjoint(with: ["LLMgineBus", "LLMgineNode", "LLMgineBroker", "LLMgineTransport"]), "\(reached)")
    }

    @Test(arguments: ["Sources", "Tests", "cluster", "bench"])
    func `keeps every file short enough to be read`(folder: String) throws {
        for file in try tree.files(in: folder) where !"\(file)".hasSuffix(".pb.swift") {  // generated
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count
            #expect(lines <= 500, "\(file) has \(lines) lines")
        }
    }

    /// The faults of the predecessor's bus and store by their numbers: 1 to 19, 24 and 25.
    @Test(arguments: Array(1...19) + [24, 25])
    func `names a test for each fault of the predecessor that must not come back`(number: Int) throws {
        let fault = try Regex("///.*\\bW\(number)\\b")
        let isNamed = try tree.files(in: "Tests").contains { $0.text.contains(fault) }
        #expect(isNamed, "no test says that it is about W\(number)")
    }

    private let byName = Dictionary(uniqueKeysWithValues: Layers.modules.map { ($0.name, $0) })

    private func reachable(from name: String) -> Set<String> {
        var seen: Set<String> = []
        var open = [name]
        while let next = open.popLast() {
            for imported in byName[next]?.imports ?? [] where seen.insert(imported).inserted { open.append(imported) }
        }
        return seen
    }
}
