import Foundation

/// Unbuffered lines: standard output is for programs, standard error for people.
enum Output {
    static func say(_ line: Line) { say(line.description) }
    static func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
    static func tell(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}
