// A broker that says whatever a test wants, right or wrong: one listening socket, a thread a connection.
//
// It speaks the versions before the flexible ones (ApiVersions 0, Metadata 8, ListOffsets 5, Fetch 11), which a reader must know
// anyway and a test can write by hand. By itself it leads every partition that a request names and holds what `logs` says; the
// script sees every request first and may answer in its place. Requests are counted, so that a test can say how often
// it was asked.

import Engine
import Foundation
import Synchronization

package final class ScriptedBroker: Sendable {
    package struct Request: Sendable {
        package var call: WireCall
        package var version: Int16
        package var correlation: Int32
        package var body: [UInt8]
        /// How many of this call came before, over all connections.
        package var number: Int
        package var connection: Int
    }

    package enum Answer: Sendable {
        /// What the broker says by itself.
        case usual
        /// The same, its last half so long after the first.
        case halves(pauseMillis: UInt32)
        /// Behind length and correlation id.
        case body([UInt8])
        /// As they are, the length included.
        case raw([UInt8])
        /// As they are, then the connection is closed.
        case cut([UInt8])
        /// Nothing, and the connection stays.
        case silence
        case close
    }

    /// A partition as the broker has it.
    package struct Log: Sendable {
        package var batches: [(end: Int64, bytes: [UInt8])] = []
        package var start: Int64 = 0
        package var end: Int64 = 0
        package var error: Int16 = 0
        package var aborted: [AbortedTransaction] = []

        package init() {}

        /// - Parameter end: behind the last batch, unless set.
        package init(_ batches: [RecordBatchBytes], end: Int64? = nil) {
            for batch in batches {
                let delta = batch.lastOffsetDelta.map(Int64.init) ?? batch.deltas?.last ?? Int64(batch.values.count - 1)
                self.batches.append((batch.baseOffset + max(0, delta) + 1, batch.bytes))
            }
            self.end = end ?? self.batches.last?.end ?? 0
        }

        /// What a broker gives to somebody who asks for this offset.
        package func from(_ offset: Int64) -> Log {
            var log = self
            log.batches.removeAll { $0.end <= offset }
            return log
        }

        package var records: [UInt8] { batches.flatMap(\.bytes) }
    }

    package typealias Script = @Sendable (Request) -> Answer

    package let port: Int32
    package var bootstrap: String { "127.0.0.1:\(port)" }
    private let listener: Int32
    private struct State {
        var logs: [Int32: Log]
        var script: Script
        var counts: [WireCall: Int] = [:]
        /// Those that are open, by number: a descriptor that was closed is somebody else's by now.
        var connections: [Int: Int32] = [:]
        var admitted = 0
        var isOver = false
    }
    private let state: Mutex<State>

    /// - Parameter logs: of the topic "t", by partition.
    package init(logs: [Int32: Log] = [:], _ script: @escaping Script = { _ in .usual }) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, size) == 0 && listen(listener, 64) == 0 && getsockname(listener, address, &size) == 0
            }
        }
        guard isListening else { throw ToolError(text: "a scripted broker cannot listen") }
        self.listener = listener
        port = Int32(UInt16(bigEndian: address.sin_port))
        state = Mutex(State(logs: logs, script: script))
        let thread = Thread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0, let self, let number = self.admit(connection) else { return }
                // What is sent in two pieces arrives in two, and not when the first one was acknowledged.
                var isPrompt: Int32 = 1
                setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &isPrompt, socklen_t(MemoryLayout<Int32>.size))
                let thread = Thread { [self] in serve(connection, number) }
                thread.start()
            }
        }
        thread.start()
    }

    package func end() {
        state.withLock { state in
            if !state.isOver { shutdown(listener, Int32(SHUT_RDWR)) }
            state.isOver = true
            for connection in state.connections.values { shutdown(connection, Int32(SHUT_RDWR)) }
        }
    }

    package func count(_ call: WireCall) -> Int { state.withLock { $0.counts[call, default: 0] } }
    package func change(_ partition: Int32, _ change: (inout Log) -> Void) {
        state.withLock { change(&$0.logs[partition, default: Log()]) }
    }

    private func admit(_ connection: Int32) -> Int? {
        state.withLock { state in
            guard !state.isOver else { return nil }
            defer { state.admitted += 1 }
            state.connections[state.admitted] = connection
            return state.admitted
        }
    }

    private func serve(_ connection: Int32, _ number: Int) {
        defer {
            state.withLock { state in
                state.connections[number] = nil
                _ = close(connection)
            }
        }
        while let head = read(connection, 4) {
            let length = head.withUnsafeBytes { Int($0.loadUnaligned(as: UInt32.self).bigEndian) }
            guard length >= 10, length < 1 << 24, let frame = read(connection, length) else { return }
            let call = Int16(frame[0]) << 8 | Int16(frame[1])
            guard let known = WireCall(rawValue: call) else { return }
            let (count, script) = state.withLock { state in
                defer { state.counts[known, default: 0] += 1 }
                return (state.counts[known, default: 0], state.script)
            }
            let clientBytes = Int(frame[8]) << 8 | Int(frame[9])
            let request = Request(
                call: known, version: Int16(frame[2]) << 8 | Int16(frame[3]),
                correlation: frame[4..<8].reduce(0) { $0 << 8 | Int32($1) }, body: Array(frame.dropFirst(10 + clientBytes)),
                number: count, connection: number)
            switch script(request) {
            case .usual:
                guard let body = usual(request) else { continue }
                send(connection, Self.frame(request, body))
            case .halves(let pauseMillis):
                guard let body = usual(request) else { continue }
                let frame = Self.frame(request, body)
                send(connection, Array(frame.prefix(frame.count / 2)))
                usleep(pauseMillis * 1000)
                send(connection, Array(frame.dropFirst(frame.count / 2)))
            case .body(let body): send(connection, Self.frame(request, body))
            case .raw(let bytes): send(connection, bytes)
            case .cut(let bytes):
                send(connection, bytes)
                return
            case .silence: continue
            case .close: return
            }
        }
    }

    /// An answer's frame.
    package static func frame(_ request: Request, _ body: [UInt8]) -> [UInt8] {
        var bytes = NetworkBytes()
        bytes.int32(body.count + 4)
        bytes.int32(Int(request.correlation))
        return bytes.bytes + body
    }

    private func read(_ connection: Int32, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { recv(connection, $0.baseAddress! + done, count - done, 0) }
            if got <= 0 { return nil }
            done += got
        }
        return bytes
    }

    private func send(_ connection: Int32, _ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let sent = bytes.withUnsafeBytes {
                Foundation.send(connection, $0.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            if sent <= 0 { return }
            done += sent
        }
    }

    // MARK: what it says by itself

    private func usual(_ request: Request) -> [UInt8]? {
        switch request.call {
        case .apiVersions: Self.versions(request)
        case .metadata: metadata()
        case .listOffsets: offsets(request)
        case .fetch: fetched(request)
        case .saslHandshake: Self.letIn(request)
        case .saslAuthenticate: Self.letIn(request)
        default: nil
        }
    }

    package static func versions(_ request: Request) -> [UInt8] {
        var bytes = NetworkBytes()
        // Of version 3 it knows nothing; the list is that of version 0.
        bytes.int16(request.version == 0 ? 0 : 35)
        let known: [(WireCall, Int)] = [
            (.fetch, 11), (.listOffsets, 5), (.metadata, 8), (.apiVersions, 0), (.saslHandshake, 1), (.saslAuthenticate, 1),
        ]
        bytes.int32(known.count)
        for (call, newest) in known {
            bytes.int16(Int(call.rawValue))
            bytes.int16(0)
            bytes.int16(newest)
        }
        return bytes.bytes
    }

    /// Takes any login by PLAIN.
    /// - Parameter lifetimeMillis: how long it lasts; 0 for ever.
    package static func letIn(_ request: Request, lifetimeMillis: Int64 = 0) -> [UInt8] {
        var bytes = NetworkBytes()
        bytes.int16(0)
        if request.call == .saslHandshake {
            bytes.int32(1)
            bytes.text("PLAIN")
        } else {
            bytes.int16(-1)
            bytes.blob([])
            bytes.int64(lifetimeMillis)
        }
        return bytes.bytes
    }

    private func metadata() -> [UInt8] {
        var bytes = NetworkBytes()
        bytes.int32(0)
        bytes.int32(1)
        bytes.int32(7)
        bytes.text("127.0.0.1")
        bytes.int32(Int(port))
        bytes.int16(-1)
        bytes.text("scripted")
        bytes.int32(7)
        bytes.int32(1)
        bytes.int16(0)
        bytes.text("t")
        bytes.int8(0)
        let partitions = state.withLock { $0.logs.keys.sorted() }
        bytes.int32(partitions.count)
        for partition in partitions {
            bytes.int16(0)
            bytes.int32(Int(partition))
            bytes.int32(7)
            bytes.int32(3)
            for _ in 0..<2 {
                bytes.int32(1)
                bytes.int32(7)
            }
            bytes.int32(0)
        }
        bytes.int32(0)
        bytes.int32(0)
        return bytes.bytes
    }

    private func offsets(_ request: Request) -> [UInt8] {
        // Replica 4, isolation 1, one topic 4, its name, one partition 4: then number, epoch, time.
        let name = Int(request.body[9]) << 8 | Int(request.body[10])
        let place = 4 + 1 + 4 + 2 + name + 4
        let partition = request.body[place..<place + 4].reduce(0) { $0 << 8 | Int32($1) }
        let isStart = request.body[place + 15] == 0xfe
        let log = state.withLock { $0.logs[partition] } ?? Log()
        var bytes = NetworkBytes()
        bytes.int32(0)
        bytes.int32(1)
        bytes.text("t")
        bytes.int32(1)
        bytes.int32(Int(partition))
        bytes.int16(0)
        bytes.int64(-1)
        bytes.int64(isStart ? log.start : log.end)
        bytes.int32(3)
        return bytes.bytes
    }

    /// The partitions that a request for records names, with their offsets.
    package static func asked(_ request: Request) -> [(partition: Int32, offset: Int64)] {
        // Replica, wait, least, most 16, isolation 1, session 8, one topic 4, its name, partitions.
        let name = Int(request.body[29]) << 8 | Int(request.body[30])
        var place = 31 + name
        func number(_ count: Int) -> Int64 {
            defer { place += count }
            return request.body[place..<place + count].reduce(0) { $0 << 8 | Int64($1) }
        }
        return (0..<number(4)).map { _ in
            let partition = Int32(truncatingIfNeeded: number(4))
            _ = number(4)
            let offset = number(8)
            _ = number(12)
            return (partition, offset)
        }
    }

    private func fetched(_ request: Request) -> [UInt8] {
        let logs = state.withLock { $0.logs }
        let answers = Self.asked(request).map { asked in (asked.partition, (logs[asked.partition] ?? Log()).from(asked.offset)) }
        // Whoever asks at the end waits a little, as at a real one.
        if answers.allSatisfy({ $0.1.error == 0 && $0.1.batches.isEmpty }) { usleep(20_000) }
        return Self.fetched(answers, version: request.version)
    }

    /// An answer to Fetch 7 to 11; 10 is what a reader asks with that knows no leader's epoch.
    package static func fetched(_ partitions: [(Int32, Log)], version: Int16 = 10) -> [UInt8] {
        var bytes = NetworkBytes()
        bytes.int32(0)
        bytes.int16(0)
        bytes.int32(0)
        bytes.int32(1)
        bytes.text("t")
        bytes.int32(partitions.count)
        for (partition, log) in partitions {
            bytes.int32(Int(partition))
            bytes.int16(Int(log.error))
            bytes.int64(log.end)
            bytes.int64(log.end)
            bytes.int64(log.start)
            bytes.int32(log.aborted.count)
            for one in log.aborted {
                bytes.int64(one.producerID)
                bytes.int64(one.firstOffset)
            }
            if version >= 11 { bytes.int32(-1) }
            bytes.blob(log.records)
        }
        return bytes.bytes
    }
}
