/// The checksum of zlib, gzip and Ethernet: polynomial 0x04C11DB7, reflected. Eight tables, so that a step takes eight bytes.
enum CRC32 {
    private static let tables: [[UInt32]] = {
        var tables = [[UInt32]](repeating: [UInt32](repeating: 0, count: 256), count: 8)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
            tables[0][index] = value
        }
        for index in 0..<256 {
            for table in 1..<8 {
                let before = tables[table - 1][index]
                tables[table][index] = tables[0][Int(before & 0xFF)] ^ (before >> 8)
            }
        }
        return tables
    }()

    static func of(_ bytes: Span<UInt8>) -> UInt32 {
        let tables = CRC32.tables
        var crc = UInt32.max
        var index = 0
        while index + 8 <= bytes.count {
            let low = crc ^ word(bytes, index)
            let high = word(bytes, index + 4)
            crc =
                tables[7][Int(low & 0xFF)] ^ tables[6][Int(low >> 8 & 0xFF)] ^ tables[5][Int(low >> 16 & 0xFF)] ^ tables[4][Int(low >> 24)]
                ^ tables[3][Int(high & 0xFF)] ^ tables[2][Int(high >> 8 & 0xFF)] ^ tables[1][Int(high >> 16 & 0xFF)]
                ^ tables[0][Int(high >> 24)]
            index += 8
        }
        while index < bytes.count {
            crc = tables[0][Int((crc ^ UInt32(bytes[index])) & 0xFF)] ^ (crc >> 8)
            index += 1
        }
        return ~crc
    }

    private static func word(_ bytes: Span<UInt8>, _ index: Int) -> UInt32 {
        UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16 | UInt32(bytes[index + 3]) << 24
    }
}
