/// Rows for people: columns as wide as their widest cell, two spaces apart.
struct Table {
    private var rows: [[String]]

    init(_ head: String...) { rows = [head] }

    /// A row for each element, and a column for each head.
    init<Row>(of rows: [Row], _ columns: (head: String, cell: (Row) -> String)...) {
        self.rows = [columns.map(\.head)] + rows.map { row in columns.map { $0.cell(row) } }
    }

    mutating func add(_ cells: String...) { rows.append(cells) }

    var text: String { lines.joined(separator: "\n") }

    var lines: [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (cell, width) in zip(row, widths) { line += cell + String(repeating: " ", count: width - cell.count + 2) }
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }
}
