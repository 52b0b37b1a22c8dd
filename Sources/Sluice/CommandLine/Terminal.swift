// What a command prints to: standard output and standard error, as a terminal or as a pipe.
//
// Lines, tables and JSON go to standard output; failures and notes go to standard error. A live block is drawn only on
// a terminal: into a pipe go plain lines, each whole. Every call is one write under one lock, so lines of several
// threads never mix. A reader that has gone away (`| head`) is `BrokenPipe`, which ends the command quietly; `Program`
// ignores SIGPIPE for that. Whatever text comes in is made plain here (`PlainText`): names, settings and sentences of others
// cannot drive the terminal. What is written to standard error may fail without consequence: there is nobody left to
// tell.

import Engine
import Foundation
import Synchronization

/// Nobody reads standard output any more.
package struct BrokenPipe: Error {}

package final class Terminal: Sendable {
    package let isOutputTerminal: Bool
    package let isErrorTerminal: Bool
    private let outputDescriptor: Int32
    private let errorDescriptor: Int32
    private let fixedWidth: Int?
    private let block = Mutex(LiveBlock())

    /// - Parameter isTerminal: what to take the descriptors for; by default what they are.
    package init(
        outputDescriptor: Int32 = STDOUT_FILENO, errorDescriptor: Int32 = STDERR_FILENO, isTerminal: Bool? = nil,
        width: Int? = nil
    ) {
        self.outputDescriptor = outputDescriptor
        self.errorDescriptor = errorDescriptor
        isOutputTerminal = isTerminal ?? (isatty(outputDescriptor) == 1)
        isErrorTerminal = isTerminal ?? (isatty(errorDescriptor) == 1)
        fixedWidth = width
    }

    /// Columns of the terminal now; 100 in a pipe.
    package var width: Int {
        if let fixedWidth { return fixedWidth }
        var size = winsize()
        guard isOutputTerminal, ioctl(outputDescriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return 100
        }
        return Int(size.ws_col)
    }

    package func line(_ text: String = "") throws {
        let width = width
        let text = PlainText.of(text, keepsLines: true)
        try block.withLock { block in
            try Self.write(isOutputTerminal ? block.insert(text, width: width) : text + "\n", to: outputDescriptor)
        }
    }

    /// Text that already ends with a line's end, as it is.
    package func text(_ text: String) throws {
        try block.withLock { _ in try Self.write(PlainText.of(text, keepsLines: true), to: outputDescriptor) }
    }

    package func table(_ table: Table) throws {
        for row in table.lines { try line(row) }
    }

    /// One object on one line: keys in snake case and sorted.
    package func json(_ value: some Encodable) throws { try line(Self.jsonText(value)) }

    package static func jsonText(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Redraws the block of status lines at the bottom of a terminal. Into a pipe nothing is written.
    package func live(_ lines: [String]) throws {
        guard isOutputTerminal else { return }
        let width = width
        let lines = lines.map { PlainText.of($0) }
        try block.withLock { block in try Self.write(block.redraw(lines, width: width), to: outputDescriptor) }
    }

    /// Ends the block: its last lines stay on the terminal, or go.
    package func endLive(isKept: Bool = false) throws {
        guard isOutputTerminal else { return }
        try block.withLock { block in try Self.write(block.end(isKept: isKept), to: outputDescriptor) }
    }

    /// A line for people on standard error, so that it is never part of what a program reads. Log lines come here too
    /// while a live block stands: the block moves below them.
    package func note(_ text: String) {
        let width = width
        let text = PlainText.of(text, keepsLines: true)
        block.withLock { block in
            guard isOutputTerminal, isErrorTerminal, !block.lines.isEmpty else { return complain(text + "\n") }
            let lines = block.lines
            show(block.end(isKept: false))
            complain(text + "\n")
            show(block.redraw(lines, width: width))
        }
    }

    /// The three sentences of a failure, after whatever the live block showed last.
    package func failure(_ failure: Failure) {
        block.withLock { block in
            show(block.end(isKept: true))
            let (what, why, now) = (PlainText.of(failure.what), PlainText.of(failure.why), PlainText.of(failure.now))
            complain("sluice: \(what)\n  why: \(why)\n  now: \(now)\n")
        }
    }

    private func complain(_ text: String) {
        do { try Self.write(text, to: errorDescriptor) } catch {
            // Standard error is the last resort: there is nowhere left to say it.
        }
    }

    private func show(_ text: String) {
        do { try Self.write(text, to: outputDescriptor) } catch {
            // Only the block's drawing is lost; the next line that matters meets the same error and throws it.
        }
    }

    private static func write(_ text: String, to descriptor: Int32) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                bytes = bytes.dropFirst(written)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, -1)
            } else if errno != EINTR {
                throw errno == EPIPE ? BrokenPipe() : cannotWrite(errno)
            }
        }
    }

    private static func cannotWrite(_ number: Int32) -> any Error {
        Failure(
            number == ENOSPC ? .diskFull : .notPossible, "output cannot be written",
            why: String(cString: strerror(number)), now: "check where standard output goes to")
    }
}
