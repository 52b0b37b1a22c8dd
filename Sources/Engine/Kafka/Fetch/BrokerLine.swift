// One connection to one broker that is ready for use: connected, versions agreed on, logged in. One request at a time.
//
//   connect → (TLS) → ApiVersions → (SASL) → ready
//
// Opening blocks, within a deadline, and is done on a thread of its own (`Inquiry`); what is asked by `ask` blocks, too. A fetch is
// sent by `send` and taken by whoever polls the descriptor, because several of them are under way at once.
//
// It belongs to one thread at a time, which is what the unchecked Sendable rests on: the thread that opens it hands it over. An
// error on a line is the end of it: there is no way to know what the broker still sends.

package final class BrokerLine: @unchecked Sendable {
    package let address: BrokerAddress
    package let stream: any BrokerStream
    package private(set) var versions: BrokerVersions
    private let settings: FetchSettings
    private var request = WireRequest()
    private var answer: [UInt8] = []
    private var correlation: Int32 = 0
    /// A login that must be made again by then; the line is closed before.
    package private(set) var usableUntil: ContinuousClock.Instant?
    package private(set) var lastUsed = ContinuousClock.now

    private init(_ address: BrokerAddress, _ stream: any BrokerStream, _ settings: FetchSettings) {
        self.address = address
        self.stream = stream
        self.settings = settings
        versions = BrokerVersions([.apiVersions: 3])
    }

    /// - Throws: `StreamError` or `WireError` when it may work another time, a `Failure` when a person must act.
    package static func open(_ address: BrokerAddress, _ settings: FetchSettings) throws -> BrokerLine {
        let deadline = ContinuousClock.now + .milliseconds(settings.setupMillis)
        let plain = try PlainStream.connect(to: address, family: settings.addressFamily, until: deadline)
        let stream: any BrokerStream =
            if let tls = settings.access.tls { try TLSStream(plain, host: address.host, tls, until: deadline) } else { plain }
        let line = BrokerLine(address, stream, settings)
        try line.agreeOnVersions(until: deadline)
        if let login = settings.access.login, let lifetime = try BrokerLogin(login, over: line, until: deadline).run() {
            line.usableUntil = .now + lifetime
        }
        return line
    }

    private func agreeOnVersions(until deadline: ContinuousClock.Instant) throws {
        for version in [3, 0] as [Int16] {
            let answer: BrokerVersions.Answer
            do {
                answer = try ask(.apiVersions, version: version, until: deadline) {
                    BrokerVersions.ask(&$0, version: version)
                } read: { cursor throws(WireError) in
                    try BrokerVersions.answer(&cursor, version: version)
                }
            } catch {
                // A port that wants TLS answers with something else, or hangs up.
                throw StreamError("\(LineFailure.text(error)), in state APIVERSION_QUERY")
            }
            switch answer {
            case .versions(let agreed):
                versions = agreed
                if let lack = agreed.lacking() {
                    throw Failure(
                        .kafkaFatal, "The broker \(address) cannot be read from by reader = fetch", why: lack,
                        now: "set reader = librdkafka, or update the broker")
                }
                return
            case .askInVersion0: continue
            case .refused(let code): throw StreamError("the broker refused ApiVersions: \(FetchTrouble.name(code))")
            }
        }
    }

    /// Asks and waits for the answer.
    /// - Parameter version: the highest that both know, unless given.
    package func ask<Answer>(
        _ call: WireCall, version given: Int16? = nil, until deadline: ContinuousClock.Instant,
        write: (inout WireRequest) -> Void, read: (inout WireCursor) throws(WireError) -> Answer
    ) throws -> Answer {
        let version = try given ?? known(call)
        correlation &+= 1
        lastUsed = .now
        request.begin(call, version: version, correlation: correlation, clientID: settings.clientID)
        write(&request)
        request.finish()
        try request.bytes.withUnsafeBytes { try stream.sendAll($0, until: deadline) }
        var head: (UInt32, UInt32) = (0, 0)
        try withUnsafeMutableBytes(of: &head) { try stream.receiveAll($0, until: deadline) }
        let (length, answered) = (Int(Int32(bitPattern: head.0.bigEndian)), Int32(bitPattern: head.1.bigEndian))
        guard length >= 4, length <= settings.mostAnswerBytes else { throw WireError.malformed("an answer of \(length) bytes") }
        guard answered == correlation else { throw WireError.malformed("an answer to request \(answered), not \(correlation)") }
        try receive(length - 4, until: deadline)
        return try answer.withUnsafeBytes { bytes in
            var cursor = WireCursor(bytes)
            do throws(WireError) {
                if call != .apiVersions { try cursor.tags(call.isFlexible(version)) }
                return try read(&cursor)
            } catch {
                throw error == .incomplete ? WireError.malformed("an answer to \(call) that ends too early") : error
            }
        }
    }

    /// Takes memory as bytes come, not by the announced length.
    private func receive(_ count: Int, until deadline: ContinuousClock.Instant) throws {
        answer.removeAll(keepingCapacity: true)
        while answer.count < count {
            let start = answer.count
            let step = min(count - start, max(4096, start))
            answer.append(contentsOf: repeatElement(0, count: step))
            try answer.withUnsafeMutableBytes {
                try stream.receiveAll(UnsafeMutableRawBufferPointer(rebasing: $0[start...]), until: deadline)
            }
        }
    }

    package func known(_ call: WireCall) throws -> Int16 {
        guard let version = versions.version(call) else {
            throw StreamError("the broker \(address) has no version of \(call) that is known here")
        }
        return version
    }

    /// Sends a request for records; the answer is taken from `stream`.
    /// - Returns: the number by which the answer is recognised.
    package func send(_ fetch: FetchRequest, version: Int16) throws -> Int32 {
        correlation &+= 1
        lastUsed = .now
        request.begin(.fetch, version: version, correlation: correlation, clientID: settings.clientID)
        fetch.write(&request, version: version)
        request.finish()
        try request.bytes.withUnsafeBytes { try stream.sendAll($0, until: .now + .seconds(5)) }
        return correlation
    }
}
